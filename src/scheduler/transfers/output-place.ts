/** Where an output stands among those of its attempt, so that the same piece, told twice, is taken once. Pure. */

export interface FilePlace {
  readonly node: string;
  readonly ordinal: number;
  readonly filename: string;
  readonly temporary: boolean;
}

export const NO_FILE = {
  kind: 'text',
  mimeType: 'text/plain',
  filename: null,
  sha256: null,
  bytes: null,
  width: null,
  height: null,
  temporary: false,
} as const;

export function shownFile(node: string, ordinal: number, filename: string, temporary: boolean): FilePlace {
  return { node, ordinal, filename, temporary };
}

export function placeOf(node: string, ordinal: number): string {
  return `${ordinal}/${node}`;
}

/** Outputs of nodes made at run time follow those of the node they are shown under. */
const RUN_TIME_NODES_FROM = 100_000;

/** The ordinal of a node's first output. */
export function firstOrdinal(node: string, shown: string): number {
  return node === shown ? 0 : RUN_TIME_NODES_FROM + (hash(node) % 10_000) * 1000;
}

/** A small stable number for a node's id. */
function hash(text: string): number {
  let value = 0;
  for (const char of text) value = (value * 31 + (char.codePointAt(0) ?? 0)) % 1_000_003;
  return value;
}
