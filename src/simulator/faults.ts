/**
 * What can be made to go wrong, and when. A fault set is plain data so it can come over HTTP
 * (POST /simulator/faults) as well as from a test; only the named keys change.
 */
import { isObject, type Json } from './python-json.ts';

export interface Faults {
  /** Accepts connections, answers nothing: no HTTP reply, no pong, no progress (SIGSTOP). Ends when set to false. */
  frozen: boolean;
  /** The worker thread is dead: prompts are accepted and never run. Cured by a restart only. */
  workerDead: boolean;
  /** Sockets stay open and get no message. */
  deafSockets: boolean;
  /** Upgrade requests are answered 503. */
  refuseSockets: boolean;
  /** POST /prompt is answered with this status; null is normal. */
  refusePrompts: number | null;
  /** Bytes per second of /view bodies; null is as fast as it goes. */
  slowBodies: number | null;
  /** /view bodies end after this many bytes with a broken connection; null is whole. */
  cutBodies: number | null;
  /** Milliseconds between execution_success and the history entry; of two numbers, any between them. */
  lateHistoryMs: number | [number, number];
  /** POST /interrupt answers 200 and does nothing. */
  ignoreInterrupts: boolean;
  /** Every upload is stored under a new name, as if the name had been taken by another picture. */
  uploadRenames: boolean;
  /** Sampling runs out of GPU memory: as an error of the node, or the process dies of it. */
  outOfMemory: 'error' | 'crash' | null;
  /** Node classes that raise, with what they raise. */
  nodeErrors: Record<string, { type: string; message: string }>;
  /** A graphics context that is gone: every node that computes raises this, until a restart. */
  stickyError: { type: string; message: string } | null;
  /** The process dies at this share (0..1) of a node's progress. */
  crashAtProgress: number | null;
  /** The process dies when a node of this class starts. */
  crashAtNode: string | null;
  /** The process dies while answering the next POST /prompt: after queueing, before the reply. */
  crashOnPrompt: boolean;
  /** After a crash the server comes back by itself after this many milliseconds; null is never. */
  restartAfterMs: number | null;
}

export function noFaults(): Faults {
  return {
    frozen: false,
    workerDead: false,
    deafSockets: false,
    refuseSockets: false,
    refusePrompts: null,
    slowBodies: null,
    cutBodies: null,
    lateHistoryMs: 0,
    ignoreInterrupts: false,
    uploadRenames: false,
    outOfMemory: null,
    nodeErrors: {},
    stickyError: null,
    crashAtProgress: null,
    crashAtNode: null,
    crashOnPrompt: false,
    restartAfterMs: null,
  };
}

/** Faults from JSON: the change, or the text of what is wrong with it. */
export function parseFaults(body: Json | undefined): Partial<Faults> | string {
  if (!isObject(body)) return 'an object of faults is expected';
  const known = noFaults();
  for (const [key, value] of Object.entries(body)) {
    if (!(key in known)) return `unknown fault ${key}`;
    const complaint = checkFault(key as keyof Faults, value, known);
    if (complaint) return complaint;
  }
  return body as Partial<Faults>;
}

function isRaised(value: Json): boolean {
  return isObject(value) && typeof value.type === 'string' && typeof value.message === 'string';
}

/** Milliseconds from execution_success to the history entry of one run; `random` answers numbers in [0, 1). */
export function historyDelay({ lateHistoryMs }: Faults, random: () => number): number {
  if (typeof lateHistoryMs === 'number') return lateHistoryMs;
  const [from, to] = lateHistoryMs;
  return from + (to - from) * random();
}

const TEXTS = ['crashAtNode'];

function checkFault(key: keyof Faults, value: Json, known: Faults): string | undefined {
  if (key === 'nodeErrors') {
    const good = isObject(value) && Object.values(value).every(isRaised);
    return good ? undefined : 'nodeErrors: {class: {type, message}} is expected';
  }
  if (key === 'stickyError')
    return value === null || isRaised(value) ? undefined : `${key}: {type, message} or null`;
  if (key === 'lateHistoryMs' && Array.isArray(value))
    return value.length === 2 && value.every((ms) => typeof ms === 'number')
      ? undefined
      : `${key}: [from, to]`;
  if (key === 'outOfMemory')
    return value === null || value === 'error' || value === 'crash'
      ? undefined
      : `${key}: error, crash or null`;
  if (typeof known[key] === 'boolean')
    return typeof value === 'boolean' ? undefined : `${key}: true or false`;
  if (value === null && known[key] === null) return undefined;
  const wanted = TEXTS.includes(key) ? 'string' : 'number';
  return typeof value === wanted ? undefined : `${key}: a ${wanted} is expected`;
}
