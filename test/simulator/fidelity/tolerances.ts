/**
 * Every tolerance of the comparison, in words and beside the code that grants it. Whatever is not named here must be
 * equal by value. What the simulator does differently on purpose is in src/simulator/DIFFERENCES.md, not here.
 */
import { isRecord } from './recording.ts';

export interface Tolerance {
  readonly name: string;
  readonly words: string;
  /** Returns the value as it is compared; `path` leads to it from the message or body. */
  readonly apply: (value: unknown, path: readonly (string | number)[]) => unknown;
}

const UNORDERED = new Set(['executed', 'current_outputs', 'dependent_outputs', 'errors']);
const MACHINE = /^(ram|vram|torch_vram)_(total|free)$/;
const INSTALLATION = new Set([
  'python_version',
  'pytorch_version',
  'argv',
  'required_frontend_version',
  'installed_templates_version',
  'required_templates_version',
]);

/** Granted to every scenario. */
export const TOLERANCES: readonly Tolerance[] = [
  {
    name: 'times',
    words: 'Timestamps, and the modification and creation time of model files: must be numbers.',
    apply: (value, path) =>
      typeof value === 'number' && ['timestamp', 'modified', 'created'].includes(String(path.at(-1)))
        ? '<time>'
        : value,
  },
  {
    name: 'tensors',
    words:
      'Texts in which Python prints a tensor (PreviewAny, current_inputs): must be a printed tensor, numbers not compared.',
    apply: (value) => (typeof value === 'string' && /^\s*\[?tensor\(/.test(value) ? '<tensor>' : value),
  },
  {
    name: 'tracebacks',
    words: 'Python tracebacks: a list of texts, not empty; the lines are not compared.',
    apply: (value, path) =>
      path.at(-1) === 'traceback' &&
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((line) => typeof line === 'string')
        ? '<traceback>'
        : value,
  },
  {
    name: 'sets',
    words:
      'Lists that ComfyUI builds from a Python set, whose order changes from process to process: executed, current_outputs, dependent_outputs, the errors of one node, the outputs to execute of a queue item. Compared without order.',
    apply: (value, path) => (Array.isArray(value) && isFromSet(value, path) ? sorted(value) : value),
  },
  {
    name: 'machine',
    words:
      'What /system_stats says of the machine: device, versions and arguments are not compared, memory sizes must be numbers.',
    apply: (value, path) => {
      const key = String(path.at(-1));
      if (path.includes('devices') && ['name', 'type', 'index'].includes(key)) return '<device>';
      if (MACHINE.test(key) && typeof value === 'number') return '<bytes>';
      return INSTALLATION.has(key) ? '<installation>' : value;
    },
  },
  {
    name: 'tooltips',
    words: 'Tooltips and descriptions of nodes, which the recording blanks: must be a text, not empty.',
    apply: (value, path) => (typeof value === 'string' && value !== '' && isBlanked(path) ? '<text>' : value),
  },
];

/** In words only: granted by how the replay and the observation are made. */
export const BUILT_IN: readonly { readonly name: string; readonly words: string }[] = [
  {
    name: 'names',
    words:
      'Prompt ids and client ids that the server makes up, the five random letters of temporary files, ETags and the server address: paired one to one, recorded with replayed, and then compared by value.',
  },
  {
    name: 'sizes',
    words: 'Content-Length, length and hash of pictures: not compared; kind, and pixel size of PNG, are.',
  },
  { name: 'numbers', words: '1 and 1.0 are the same number, as for any JSON reader in JavaScript.' },
  { name: 'json', words: 'White space, escapes and the order of keys in JSON.' },
  {
    name: 'headers',
    words:
      'Compared: Content-Type, Content-Disposition, Content-Range, Content-Encoding, Accept-Ranges, Allow, Cache-Control, CORS headers, Connection: close. Not compared: dates, ETag, lengths, transfer framing.',
  },
  {
    name: 'processes',
    words: 'The simulator runs in the test process: that it is gone is compared, its exit code is not.',
  },
  {
    name: 'pace',
    words:
      'Times are not compared. Each request waits until all messages that the recording saw before it have arrived; in two scenarios a request that the server read later than it was sent is re-timed (`retimed` in scenarios.ts).',
  },
  {
    name: 'cut bodies',
    words: 'Bodies and messages of which the recording keeps only the beginning: compared up to the cut.',
  },
];

/** Granted only to the scenarios that name them. */
export const SPECIAL = {
  statusRace:
    'The client posts while the worker thread runs: how many messages of the run lie before each status is a race of two threads. The messages of the run in their order and the numbers of the statuses in theirs are compared separately.',
  statusNumbersRace:
    'As statusRace, and with posts so close together that the numbers themselves depend on the race: the count of statuses and the last number are compared.',
  cutSocket:
    'A socket that the client tore off in the middle of a burst: the messages in flight may or may not have been read, so up to three more are allowed.',
} as const;

export type SpecialTolerance = keyof typeof SPECIAL;

/** Applies the tolerances of every scenario, from the leaves up. */
export function tolerate(value: unknown, path: readonly (string | number)[] = []): unknown {
  let inner = value;
  if (Array.isArray(value)) inner = value.map((item, index) => tolerate(item, [...path, index]));
  else if (isRecord(value)) {
    inner = Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, tolerate(item, [...path, key])]),
    );
  }
  return TOLERANCES.reduce((result, tolerance) => tolerance.apply(result, path), inner);
}

function isBlanked(path: readonly (string | number)[]): boolean {
  return path.at(-1) === 'tooltip' || path.at(-1) === 'description' || path.at(-2) === 'output_tooltips';
}

function isFromSet(list: readonly unknown[], path: readonly (string | number)[]): boolean {
  if (UNORDERED.has(String(path.at(-1)))) return true;
  // The fifth entry of a queue item: [number, prompt_id, prompt, extra_data, outputs_to_execute].
  const place = path.at(-2);
  return (
    path.at(-1) === 4 &&
    (place === 'prompt' || typeof place === 'number') &&
    list.every((id) => typeof id === 'string')
  );
}

function sorted(list: readonly unknown[]): unknown[] {
  return [...list].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** Parts of single scenarios that say nothing about the server: taken out of the comparison on both sides. */
export const LEFT_OUT: readonly {
  readonly scenario: string;
  readonly where: string;
  readonly why: string;
}[] = [
  {
    scenario: 'misc_endpoints',
    where: '#18 GET /api/history',
    why: 'the 24 MB history of everything the rig had run before',
  },
  {
    scenario: 'misc_endpoints',
    where: '#32 GET /object_info',
    why: 'the order of 394 classes; single classes are compared in the requests before',
  },
  { scenario: 'misc_endpoints', where: '#31 GET /', why: 'the page of the user interface' },
  {
    scenario: 'view_variants',
    where: '#45 GET /internal/files/output',
    why: 'a list of all files the rig had',
  },
];

/** For `compare`: drops the bodies that LEFT_OUT names for a scenario; status and headers stay. */
export function leftOut(scenario: string): (value: unknown, where: string) => unknown {
  const places = LEFT_OUT.filter((entry) => entry.scenario === scenario).map((entry) => entry.where);
  return (value, where) => {
    if (!places.includes(where) || !isRecord(value)) return value;
    const { body: _, ...rest } = value;
    return rest;
  };
}
