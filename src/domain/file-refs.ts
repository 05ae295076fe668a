/** Finding stored files in a graph: an input that is exactly `{"$file": {...}}` stands for one. */
import { isObject, type Json, type JsonObject } from '../lib/json.ts';
import type { FileRef, Graph } from './graph.ts';

export const FILE_KEY = '$file';

/** What an input holds under "$file"; undefined when the input is something else. */
export function fileValueOf(input: Json | undefined): Json | undefined {
  if (!isObject(input)) return undefined;
  return Object.hasOwn(input, FILE_KEY) ? (input[FILE_KEY] as Json) : undefined;
}

/** The stored file an input stands for; null when it is a literal or a link. */
export function fileRefOf(input: Json | undefined): FileRef | null {
  const value = fileValueOf(input);
  if (!isObject(value)) return null;
  const { sha256, mimeType, as } = value;
  if (typeof sha256 !== 'string' || typeof mimeType !== 'string') return null;
  if (as !== 'name' && as !== 'base64') return null;
  return { sha256, mimeType, as };
}

/** Every stored file a graph takes, in the order of its nodes; a file taken twice comes twice. */
export function fileRefsOf(graph: Graph): FileRef[] {
  return Object.values(graph).flatMap((node) =>
    Object.values(node.inputs)
      .map((input) => fileRefOf(input))
      .filter((ref) => ref !== null),
  );
}

/** The graph with every `{"$file": value}` input replaced by what `replace` answers; everything else is shared, not copied. */
export function mapFiles(graph: Graph, replace: (value: Json) => Json): Graph {
  const nodes = Object.entries(graph).map(([id, node]) => {
    const inputs: JsonObject = Object.fromEntries(
      Object.entries(node.inputs).map(([name, input]) => {
        const value = fileValueOf(input);
        return [name, value === undefined ? input : replace(value)];
      }),
    );
    return [id, { ...node, inputs }];
  });
  return Object.fromEntries(nodes);
}
