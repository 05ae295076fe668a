/**
 * From ComfyUI's messages about one prompt to what a user is told: progress that never falls, nodes, cached nodes,
 * pictures, outputs. Pure: (view, message, now) to (view, news). Messages of other prompts are kept away by the caller.
 */
import type {
  ComfyMessage,
  ExecutingMessage,
  PreviewMessage,
  ProgressMessage,
  ProgressStateMessage,
} from '../../comfyui/messages.ts';
import type { Graph } from '../../domain/graph.ts';
import type { Progress } from '../../domain/job.ts';
import type { LiveEvent } from '../../domain/job-event.ts';
import type { JsonObject } from '../../lib/json.ts';
import { sendsResult } from '../transfers/result-sender.ts';
import type { NodeFailure } from './run-faults.ts';

export type RunNews =
  | { readonly type: 'live'; readonly event: Exclude<LiveEvent, { type: 'preview' }> }
  /** A preview of the picture that is being made. */
  | { readonly type: 'picture'; readonly mimeType: string; readonly image: Uint8Array }
  /** A result that a node sent over the socket instead of saving it. */
  | { readonly type: 'result'; readonly node: string; readonly mimeType: string; readonly image: Uint8Array }
  /** A node's ui output: files and texts to collect. `shown`: the node of the submitted graph it belongs to. */
  | { readonly type: 'output'; readonly node: string; readonly shown: string; readonly output: JsonObject }
  | { readonly type: 'begun' }
  /** The run is over; history is being written. `succeeded`: and every output has been told. */
  | { readonly type: 'over'; readonly succeeded: boolean }
  /** History can be read. */
  | { readonly type: 'ended' }
  /** A node blocked an output; history does not tell. */
  | { readonly type: 'blocked'; readonly failure: NodeFailure };

/** What is known of a run so far. */
export interface RunView {
  readonly graph: Graph;
  /** Nodes of the graph that are finished or came from the cache. */
  readonly done: ReadonlySet<string>;
  /** The node that runs now, as the submitted graph names it. */
  readonly node: string | null;
  readonly steps: Steps | null;
  readonly fraction: number;
  /** The server tells each node's state, so none has to be guessed. */
  readonly knowsStates: boolean;
  readonly lastProgress: Progress | null;
}

interface Steps {
  readonly value: number;
  readonly max: number;
  /** Where the measured pace starts: the first step seen, and when (ms of the caller's clock). */
  readonly from: number;
  readonly fromAt: number;
  readonly remainingMs: number | null;
}

export interface Translation {
  readonly view: RunView;
  readonly news: readonly RunNews[];
}

/** How pictures without metadata are to be read on the connection they came by. */
export interface PictureRule {
  /** The server agreed to send previews with metadata, so a picture without is a result. */
  readonly previewsHaveMetadata: boolean;
}

const LARGEST_COMFY_DATA = 16 * 1024;
const LONGEST_TYPE = 200;

export function startView(graph: Graph): RunView {
  return {
    graph,
    done: new Set(),
    node: null,
    steps: null,
    fraction: 0,
    knowsStates: false,
    lastProgress: null,
  };
}

/** `now` is any clock in ms that never jumps. */
export function translate(
  view: RunView,
  message: ComfyMessage,
  now: number,
  pictures: PictureRule = { previewsHaveMetadata: true },
): Translation {
  switch (message.kind) {
    case 'executionStart':
      return { view, news: [{ type: 'begun' }] };
    case 'executionCached':
      return cached(view, message.nodes);
    case 'executing':
      return executing(view, message, now);
    case 'progress':
      return progress(view, message, now);
    case 'progressState':
      return progressState(view, message, now);
    case 'executed':
      return executed(view, message.node, message.displayNode, message.output);
    case 'executionSuccess':
      return withProgress({ ...view, done: new Set(Object.keys(view.graph)), steps: null }, [
        { type: 'over', succeeded: true },
      ]);
    case 'executionInterrupted':
      return { view, news: [{ type: 'over', succeeded: false }] };
    case 'executionError':
      return failed(view, message);
    case 'preview':
      return { view, news: picture(view, message, pictures) };
    case 'text':
      return { view, news: [comfy('text', { node: message.nodeId, text: message.text })] };
    case 'unknown':
      return { view, news: [comfy(message.type, message.data)] };
    case 'status':
    case 'featureFlags':
    case 'malformed':
      return { view, news: [] };
  }
}

function cached(view: RunView, nodes: readonly string[]): Translation {
  const own = nodes.filter((node) => Object.hasOwn(view.graph, node));
  if (own.length === 0) return { view, news: [] };
  const news: RunNews[] = [{ type: 'live', event: { type: 'cached', nodes: own } }];
  return withProgress({ ...view, done: new Set([...view.done, ...own]) }, news);
}

function executing(view: RunView, message: ExecutingMessage, now: number): Translation {
  if (message.node === null) return { view, news: [{ type: 'ended' }] };
  const node = shownNode(view, message.displayNode ?? message.node);
  if (node === null || node === view.node) return { view, news: [] };
  const done = view.knowsStates || view.node === null ? view.done : new Set([...view.done, view.node]);
  const event: LiveEvent = { type: 'node', node, nodeType: typeOf(view, node) };
  // the pace counts from here until the first step is seen
  const steps = { value: 0, max: 0, from: 0, fromAt: now, remainingMs: null };
  return withProgress({ ...view, node, done, steps }, [{ type: 'live', event }]);
}

function progress(view: RunView, message: ProgressMessage, now: number): Translation {
  const node = message.node === null ? view.node : shownNode(view, message.node);
  return withProgress(stepped(view, node, message.value, message.max, now), []);
}

function progressState(view: RunView, message: ProgressStateMessage, now: number): Translation {
  const finished = message.nodes
    .filter((node) => node.state === 'finished' && Object.hasOwn(view.graph, node.nodeId))
    .map((node) => node.nodeId);
  const unseen = finished.some((node) => !view.done.has(node));
  const known = {
    ...view,
    knowsStates: true,
    done: unseen ? new Set([...view.done, ...finished]) : view.done,
  };
  // a max of 1 is what a node without steps of its own reports
  const running = message.nodes.findLast((node) => node.state === 'running' && node.max > 1);
  if (!running) return withProgress(known, []);
  return withProgress(
    stepped(known, shownNode(known, running.displayNodeId), running.value, running.max, now),
    [],
  );
}

function stepped(view: RunView, node: string | null, value: number, max: number, now: number): RunView {
  if (node === null || !(max > 1) || !(value >= 0)) return view;
  const before = view.node === node ? view.steps : null;
  if (before && before.max === max && before.value === value) return view;
  const goesOn = before !== null && value >= before.value && (before.max === 0 || before.max === max);
  const pace = goesOn ? before : null;
  // measured from the first step seen, since the time before it also loads the model
  const from = pace && pace.from > 0 ? pace : { from: value, fromAt: now };
  const remainingMs =
    pace && value >= 2 ? ((now - pace.fromAt) / (value - pace.from)) * Math.max(0, max - value) : null;
  return { ...view, node, steps: { value, max, from: from.from, fromAt: from.fromAt, remainingMs } };
}

function executed(view: RunView, node: string, displayNode: string, output: JsonObject | null): Translation {
  const shown = shownNode(view, displayNode) ?? shownNode(view, node);
  const done = Object.hasOwn(view.graph, node) ? new Set([...view.done, node]) : view.done;
  // a node that is neither of the graph nor made by one of its nodes has nothing to give
  const news: RunNews[] = output && shown !== null ? [{ type: 'output', node, shown, output }] : [];
  return withProgress({ ...view, done }, news);
}

function failed(view: RunView, message: Extract<ComfyMessage, { kind: 'executionError' }>): Translation {
  // a blocked output is not the end: other outputs go on and success may follow
  if (!message.exceptionType.endsWith('ExecutionBlocked'))
    return { view, news: [{ type: 'over', succeeded: false }] };
  const { nodeId, nodeType, exceptionType, exceptionMessage } = message;
  return {
    view,
    news: [{ type: 'blocked', failure: { nodeId, nodeType, exceptionType, message: exceptionMessage } }],
  };
}

/**
 * A preview, or a result. Nodes that send results do it by the calls made for previews, so on a connection that has
 * metadata theirs may come with it or, from nodes that write to the socket themselves, without.
 */
function picture(view: RunView, message: PreviewMessage, rule: PictureRule): RunNews[] {
  const { mimeType, image } = message;
  const named = message.displayNodeId ?? message.nodeId;
  const node = named === null ? view.node : shownNode(view, named);
  const isResult = message.metadata ? sendsResult(typeOf(view, node) ?? '') : rule.previewsHaveMetadata;
  if (!isResult) return [{ type: 'picture', mimeType, image }];
  return node === null ? [] : [{ type: 'result', node, mimeType, image }];
}

function comfy(messageType: string, data: Extract<LiveEvent, { type: 'comfy' }>['data']): RunNews {
  const small = JSON.stringify(data).length <= LARGEST_COMFY_DATA;
  const name = messageType.slice(0, LONGEST_TYPE);
  return { type: 'live', event: { type: 'comfy', messageType: name, data: small ? data : null } };
}

/** The node of the submitted graph behind an id; nodes made at run time are called "<parent>.<more>". */
export function nodeOfGraph(graph: Graph, node: string): string | null {
  if (Object.hasOwn(graph, node)) return node;
  const parent = node.split('.', 1)[0] ?? '';
  return Object.hasOwn(graph, parent) ? parent : null;
}

function shownNode(view: RunView, node: string): string | null {
  return nodeOfGraph(view.graph, node);
}

function typeOf(view: RunView, node: string | null): string | null {
  return node === null ? null : (view.graph[node]?.class_type ?? null);
}

/** Adds a progress event when something a user sees has changed. */
function withProgress(view: RunView, news: RunNews[]): Translation {
  const next = progressOf(view);
  const same = view.lastProgress !== null && JSON.stringify(view.lastProgress) === JSON.stringify(next);
  if (same) return { view, news };
  return {
    view: { ...view, fraction: next.fraction, lastProgress: next },
    news: [...news, { type: 'live', event: { type: 'progress', progress: next } }],
  };
}

function progressOf(view: RunView): Progress {
  const total = Math.max(1, Object.keys(view.graph).length);
  const { steps } = view;
  const inSteps = steps !== null && steps.max > 0;
  const counts = inSteps && view.node !== null && !view.done.has(view.node);
  const share = counts ? Math.min(1, steps.value / steps.max) : 0;
  return {
    fraction: Math.min(1, Math.max(view.fraction, (view.done.size + share) / total)),
    node: view.node,
    nodeType: typeOf(view, view.node),
    step: inSteps ? countable(steps.value) : null,
    totalSteps: inSteps ? countable(steps.max) : null,
    remainingMs: inSteps && Number.isFinite(steps.remainingMs) ? steps.remainingMs : null,
  };
}

/** Nodes may report parts of a step, or nonsense; what is shown is a whole number of 32 bits. */
function countable(steps: number): number {
  return Math.min(2 ** 31 - 1, Math.floor(steps));
}
