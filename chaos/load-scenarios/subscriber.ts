/**
 * One client that follows one job over its own WebSocket (graphql-transport-ws), as light as can be so that thousands fit
 * in a process. It does what clients do: sent away or cut off it waits a moment, goes to the next gateway of its list,
 * and subscribes again, events from its cursor on. Only the end of the subscription (`complete`) is an end for it.
 */
import { WebSocket } from 'ws';

/** `job`: the entity, snapshot first. `events`: what happened, from the cursor on. */
export type What = 'job' | 'events';

export interface Order {
  /** Of gateways; the first is gone to first, the next when that fails. */
  readonly urls: readonly string[];
  /** As clients have it. */
  readonly jobId: string;
  readonly what: What;
}

/** What became of one subscriber; times are those of `now()`. */
export interface Story {
  readonly what: What;
  /** When it first tried to connect. */
  readonly begunAt: number;
  /** Handshakes that were answered and let in. */
  readonly connects: number;
  /** When connections ended that had given it a result, while the job was followed. */
  readonly cutsAt: readonly number[];
  /** Handshakes that failed, and connections that ended before any result. */
  readonly failures: number;
  /** Times it was asked to come again (1013). */
  readonly sentAway: number;
  /** Final snapshots, or last events, that it was sent. */
  readonly ends: number;
  /** Final snapshots that repeat one of an earlier connection, which never got to say that it is complete. */
  readonly endsAgain: number;
  /** Kept events that came twice, or were left out. */
  readonly doubled: number;
  readonly missed: number;
  readonly completed: boolean;
  /** Time of the first result over each connection; where one continues from a cursor, of its being let in. */
  readonly firstResults: readonly number[];
  readonly errors: readonly string[];
}

const QUERIES: Readonly<Record<What, string>> = {
  job: 'subscription ($id: ID!) { value: job(id: $id) { status progress { fraction } } }',
  events: `subscription ($id: ID!, $after: String) { value: jobEvents(id: $id, after: $after) {
    __typename cursor at job { status } } }`,
};
const FINAL = new Set(['COMPLETED', 'FAILED', 'CANCELED', 'JobFinished', 'JobCanceled']);
/** Live news carries the cursor of the kept event before it. */
const KEPT = new Set(['JobQueued', 'JobStarted', 'OutputReady', 'JobRetried', 'JobFinished', 'JobCanceled']);
const SENT_AWAY = 1013;

interface Value {
  readonly status?: string;
  readonly __typename?: string;
  readonly cursor?: string;
}

interface Message {
  readonly type: string;
  readonly payload?: { readonly data?: { readonly value: Value }; readonly errors?: unknown };
}

/** Monotonic ms, the same in every process of the machine. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

export class Subscriber {
  readonly #order: Order;
  readonly #random: () => number;
  readonly #firstResults: number[] = [];
  readonly #cutsAt: number[] = [];
  readonly #errors: string[] = [];
  #socket: WebSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #begunAt = 0;
  #next = 0;
  #tries = 0;
  #hears = false;
  #cursor: string | null = null;
  #seq = 0;
  #endsHere = 0;
  #counts = { connects: 0, failures: 0, sentAway: 0, ends: 0, endsAgain: 0, doubled: 0, missed: 0 };
  #completed = false;
  #left = false;

  constructor(order: Order, random: () => number) {
    this.#order = order;
    this.#random = random;
  }

  /** It was sent a first result over the connection it has, or needs none any more. */
  get settled(): boolean {
    return this.#hears || this.#completed;
  }

  get completed(): boolean {
    return this.#completed;
  }

  get connected(): boolean {
    return this.#hears;
  }

  connect(): void {
    const { urls } = this.#order;
    const url = urls[this.#next++ % urls.length] ?? '';
    this.#endsHere = 0;
    this.#begunAt ||= now();
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/graphql`, 'graphql-transport-ws', {
      perMessageDeflate: false,
      handshakeTimeout: 10_000,
    });
    this.#socket = socket;
    socket.on('open', () => socket.send('{"type":"connection_init"}'));
    socket.on('message', (data) => this.#hear(socket, JSON.parse(String(data)) as Message));
    socket.on('error', () => undefined);
    socket.once('close', (code) => this.#closed(code));
  }

  leave(): void {
    this.#left = true;
    clearTimeout(this.#timer);
    this.#socket?.terminate();
  }

  story(): Story {
    const { what } = this.#order;
    const lists = { firstResults: this.#firstResults, cutsAt: this.#cutsAt, errors: this.#errors };
    return { what, begunAt: this.#begunAt, ...this.#counts, completed: this.#completed, ...lists };
  }

  #hear(socket: WebSocket, { type, payload }: Message): void {
    if (type === 'connection_ack') {
      this.#counts.connects += 1;
      const variables = { id: this.#order.jobId, after: this.#cursor };
      const query = QUERIES[this.#order.what];
      socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query, variables } }));
      // from a cursor on there may be nothing to tell yet
      if (this.#cursor !== null) this.#settle();
    } else if (type === 'ping') socket.send('{"type":"pong"}');
    else if (type === 'next' && payload?.data) this.#take(payload.data.value);
    else if (type === 'complete') {
      this.#completed = true;
      socket.close(1000);
    } else if (type === 'error' || type === 'next') this.#errors.push(JSON.stringify(payload).slice(0, 300));
  }

  #take(value: Value): void {
    this.#settle();
    if (this.#order.what === 'events') this.#takeEvent(value);
    if (!FINAL.has(value.__typename ?? value.status ?? '')) return;
    // a snapshot of a job that has ended, for a client whose connection broke before the stream was closed
    const again = this.#order.what === 'job' && this.#counts.ends > 0 && this.#endsHere === 0;
    this.#counts[again ? 'endsAgain' : 'ends'] += 1;
    this.#endsHere += 1;
  }

  #settle(): void {
    this.#tries = 0;
    if (!this.#hears) this.#firstResults.push(now());
    this.#hears = true;
  }

  #takeEvent({ __typename: type = '', cursor = '' }: Value): void {
    this.#cursor = cursor;
    if (!KEPT.has(type)) return;
    const seq = Number(/\d+$/.exec(Buffer.from(cursor, 'base64url').toString())?.[0]);
    if (seq <= this.#seq) this.#counts.doubled += 1;
    else this.#counts.missed += seq - this.#seq - 1;
    this.#seq = Math.max(this.#seq, seq);
  }

  #closed(code: number): void {
    const heard = this.#hears;
    this.#hears = false;
    if (this.#completed || this.#left) return;
    if (heard) this.#cutsAt.push(now());
    else this.#counts[code === SENT_AWAY ? 'sentAway' : 'failures'] += 1;
    // graphql-ws waits 1, 2, 4 s and up to 2.7 s more; here the second try comes sooner, which is harder on the gateway
    const waitMs = Math.min(4000, 250 * 2 ** this.#tries) * (0.5 + this.#random());
    this.#tries += 1;
    this.#timer = setTimeout(() => this.connect(), waitMs);
  }
}
