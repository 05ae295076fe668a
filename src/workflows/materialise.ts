/**
 * The graph as it is posted to an instance, made anew for every attempt: stored files become names or base64 text, and
 * every save node writes under a prefix of this attempt alone. No two jobs share a file, and no prefix of a client
 * reaches the instance's disk as a path. A new prefix also keeps ComfyUI's cache from answering with old files
 * (observed on 0.3.64: a cached save node repeats the names of its first run).
 */
import { fileRefOf, fileValueOf } from '../domain/file-refs.ts';
import type { FileRef, Graph, GraphNode } from '../domain/graph.ts';
import { present } from '../lib/assert.ts';
import type { Json, JsonObject } from '../lib/json.ts';

export interface MaterialiseTools {
  /** A name that is safe as a folder: the attempt's UUID. */
  readonly attemptId: string;
  /** The name under which the instance keeps the file. */
  readonly fileName: (ref: FileRef) => string;
  /** The file's bytes as base64 text. */
  readonly base64: (ref: FileRef) => Promise<string>;
}

const PREFIX_INPUT = 'filename_prefix';
const DEFAULT_PREFIX = 'ComfyUI';
const MAX_PREFIX = 64;

/** Core nodes (and VideoHelperSuite's) that write files: they get a prefix even when the graph leaves it to the default. */
const SAVE_NODES: ReadonlySet<string> = new Set([
  'SaveImage',
  'SaveAnimatedPNG',
  'SaveAnimatedWEBP',
  'SaveAudio',
  'SaveAudioMP3',
  'SaveAudioOpus',
  'SaveGLB',
  'SaveLatent',
  'SaveSVGNode',
  'SaveVideo',
  'SaveWEBM',
  'VHS_VideoCombine',
  'CheckpointSave',
  'CLIPSave',
  'ImageOnlyCheckpointSave',
  'LoraSave',
  'ModelSave',
  'VAESave',
]);

/** The graph to post. Errors of the callbacks are thrown on. */
export async function materialise(graph: Graph, tools: MaterialiseTools): Promise<Graph> {
  const nodes = await Promise.all(
    Object.entries(graph).map(async ([id, node]) => [id, await materialiseNode(node, tools)] as const),
  );
  return Object.fromEntries(nodes);
}

async function materialiseNode(node: GraphNode, tools: MaterialiseTools): Promise<GraphNode> {
  const inputs: JsonObject = Object.fromEntries(
    await Promise.all(
      Object.entries(node.inputs).map(async ([name, input]) => [name, await fileText(input, tools)] as const),
    ),
  );
  if (Object.hasOwn(inputs, PREFIX_INPUT) || SAVE_NODES.has(node.class_type))
    inputs[PREFIX_INPUT] = ownPrefix(node.inputs[PREFIX_INPUT], tools.attemptId);
  return { ...node, inputs };
}

async function fileText(input: Json, tools: MaterialiseTools): Promise<Json> {
  if (fileValueOf(input) === undefined) return input;
  const ref = present(fileRefOf(input), 'the stored file of a bound graph');
  return ref.as === 'base64' ? tools.base64(ref) : tools.fileName(ref);
}

/** The folder keeps files apart on the instance; the tag in the name does so wherever they are saved later. */
function ownPrefix(prefix: Json | undefined, attemptId: string): string {
  return `cf/${attemptId}/${lastPart(prefix)}_${attemptId.slice(-8)}`;
}

/** What is left of a client's prefix: its last part in letters, digits, `_` and `-`. */
function lastPart(prefix: Json | undefined): string {
  if (typeof prefix !== 'string') return DEFAULT_PREFIX;
  const name = (prefix.split(/[/\\]/).at(-1) ?? '')
    .replace(/[^A-Za-z0-9_-]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .slice(0, MAX_PREFIX);
  return name === '' ? DEFAULT_PREFIX : name;
}
