/**
 * Repeats a recording against a server: every request, every opening, sending and closing of a socket, in the recorded
 * order. Causality goes by events, not by the wall clock: a step waits until every message that the recording saw
 * before it has arrived here too.
 */
import { randomUUID } from 'node:crypto';
import { type Answer, call, callAgent } from './http-call.ts';
import { Names, promptIdOf } from './names.ts';
import {
  type AnswerSeen,
  type Observation,
  observeAnswer,
  observeRecording,
  type SocketItem,
} from './observation.ts';
import type { Pace } from './pace.ts';
import { isRecord, type RecordedEvent, type RecordedRequest, type Recording } from './recording.ts';
import { repeated } from './repeated-request.ts';
import { isPassive, type Step, timeline } from './timeline.ts';
import { WireSocket } from './wire-socket.ts';

export interface ReplayOptions {
  /** Base URL for the step with this index among the requests; a recording may span several instances. */
  readonly urlFor: (step: Step) => string;
  readonly pace: Pace;
  /** Also let the recorded time pass before each step: for scenarios in which nothing arrives that could be waited for. */
  readonly keepsTime?: boolean;
  /** Request index -> when it is made, in recorded ms, instead of its own time. */
  readonly retimed?: Readonly<Record<number, number>>;
  /** Bytes of a request body of which the recording kept only the beginning. */
  readonly bodyOf?: (request: RecordedRequest, index: number) => Buffer | string | undefined;
  /** Real ms until a request counts as unanswered. */
  readonly timeoutMs?: (request: RecordedRequest) => number;
  /** What must be done by other means than HTTP before a step: killing, freezing, removing a file. */
  readonly beforeStep?: (step: Step) => Promise<void> | void;
  readonly socketLimit?: (client: string) => number | undefined;
  /** Facts about the server that a `state` event notes. */
  readonly alive: () => boolean;
}

export interface Replayed {
  readonly actual: Observation;
  readonly names: Names;
}

interface Flight {
  readonly ends: number;
  readonly landed: Promise<void>;
}

export async function replay(recording: Recording, options: ReplayOptions): Promise<Replayed> {
  const run = new Run(recording, options);
  try {
    for (const step of run.steps) await run.take(step);
    await run.finish();
    return run.result();
  } finally {
    run.end();
  }
}

class Run {
  readonly steps: readonly Step[];
  readonly #options: ReplayOptions;
  readonly #recorded: Observation;
  readonly #agent = callAgent();
  readonly #names = new Names();
  readonly #sockets = new Map<string, WireSocket>();
  /** Per socket, how many of the recorded items should have happened by now. */
  readonly #due = new Map<string, number>();
  readonly #answers: AnswerSeen[] = [];
  /** Accepted prompts in the order of their acceptance. */
  readonly #promptIds: string[] = [];
  #flights: Flight[] = [];
  #closedFirst: number | undefined;

  constructor(recording: Recording, options: ReplayOptions) {
    this.#options = options;
    this.#recorded = observeRecording(recording);
    const http = recording.http.map((request, index) => {
      const at = options.retimed?.[index];
      return at === undefined ? request : { ...request, t_ms: at };
    });
    this.steps = timeline({ ...recording, http });
  }

  async take(step: Step): Promise<void> {
    const passive = step.kind === 'event' && isPassive(step.event);
    if (passive && step.event.type !== 'closed') {
      this.#expect(step.event.client);
      return;
    }
    await this.#landFlights(step.at);
    await this.#arrivals();
    if (this.#options.keepsTime && step.at > 0) await this.#options.pace.reach(step.at);
    await this.#options.beforeStep?.(step);
    if (step.kind === 'request') this.#request(step);
    else if (passive) this.#expect(step.event.client);
    else await this.#act(step);
  }

  async finish(): Promise<void> {
    await this.#landFlights(Number.POSITIVE_INFINITY);
    await this.#arrivals();
    // Whatever comes now is a message the recording does not have.
    await this.#options.pace.pass(2000);
  }

  result(): Replayed {
    const actual = this.#seen();
    this.#names.learnLetters(this.#recorded, actual);
    this.#names.learnSids(this.#recorded, actual);
    return { actual, names: this.#names };
  }

  end(): void {
    for (const socket of this.#sockets.values()) void socket.close(true);
    this.#agent.destroy();
  }

  #seen(): Observation {
    const sockets: Record<string, readonly SocketItem[]> = {};
    for (const [client, socket] of this.#sockets) sockets[client] = socket.items;
    return { sockets, answers: this.#answers };
  }

  #expect(client: string): void {
    this.#due.set(client, (this.#due.get(client) ?? 0) + 1);
  }

  #arrivals(): Promise<boolean> {
    return this.#options.pace.until(() =>
      [...this.#due].every(([client, count]) => (this.#sockets.get(client)?.items.length ?? 0) >= count),
    );
  }

  async #landFlights(at: number): Promise<void> {
    const landing = this.#flights.filter((flight) => flight.ends <= at);
    this.#flights = this.#flights.filter((flight) => flight.ends > at);
    for (const flight of landing) await this.#options.pace.settle(flight.landed);
  }

  #request(step: Extract<Step, { kind: 'request' }>): void {
    const { request, index } = step;
    if (request.t_ms === 0) this.#options.pace.start();
    const base = this.#options.urlFor(step);
    this.#learnLetters();
    const made = this.#options.bodyOf?.(request, index);
    const timeoutMs = this.#options.timeoutMs?.(request) ?? 15_000;
    const sending = call(this.#agent, base, { ...repeated(request, base, this.#names, made), timeoutMs });
    const landed = sending.then((answer) => this.#land(answer, request, index));
    // What has no time of its own came before everything else, and was over before it.
    const ends = step.at < 0 ? step.at : step.at + (request.took_ms ?? 0);
    this.#flights.push({ ends, landed });
  }

  #land(answer: Answer, request: RecordedRequest, index: number): void {
    const seen = observeAnswer(answer, request, index);
    const { body } = seen;
    this.#answers[index] = seen;
    if (answer.kind !== 'answer') return;
    this.#names.learn(request.response_headers?.etag, answer.headers.etag);
    if (body.kind !== 'json') return;
    const id = promptIdOf(body.json);
    if (id !== undefined) this.#promptIds.push(id);
    this.#names.learn(promptIdOf(request.response_body), id);
    const json = this.#abridged(body.json, request.response_body);
    this.#answers[index] = { ...seen, body: { kind: 'json', json } };
  }

  /** The rig abridged some long answers when it wrote them down; ours are abridged in the same way. */
  #abridged(json: unknown, recorded: unknown): unknown {
    if (!isRecord(json) || !isRecord(recorded)) return json;
    if ('keys_only' in recorded)
      return { keys_only: Object.keys(json).map((id) => this.#promptIds.indexOf(id)) };
    if ('pending_ids_and_numbers' in recorded && Array.isArray(json.queue_pending)) {
      const pending = json.queue_pending.map((item: unknown[]) => item.slice(0, 2));
      return { pending_ids_and_numbers: pending.sort((a, b) => Number(a[0]) - Number(b[0])) };
    }
    return json;
  }

  /** Learns from what both sides have seen up to this step. */
  #learnLetters(): void {
    const sockets: Record<string, readonly SocketItem[]> = {};
    for (const [client, items] of Object.entries(this.#recorded.sockets)) {
      sockets[client] = items.slice(0, this.#due.get(client) ?? 0);
    }
    const answers = this.#recorded.answers.slice(0, this.#answers.length);
    this.#names.learnLetters({ sockets, answers }, this.#seen());
  }

  async #act(step: Extract<Step, { kind: 'event' }>): Promise<void> {
    const { event } = step;
    if (event.type === 'open' || event.type === 'connect_failed' || event.type === 'handshake_refused') {
      await this.#open(event, step);
    } else if (event.type === 'sent') {
      this.#sockets.get(event.client)?.send(sentText(event.data));
    } else if (event.type === 'closed') {
      await this.#sockets.get(event.client)?.close(event.abort === true);
      this.#closedFirst ??= this.#countAll();
    } else if (event.type === 'state') {
      this.#expect(event.client);
      this.#noteState(event);
    }
  }

  async #open(event: RecordedEvent, step: Step): Promise<void> {
    const base = this.#options.urlFor(step).replace('http:', 'ws:');
    const path = typeof event.url_path === 'string' ? event.url_path : `/ws?clientId=${randomUUID()}`;
    const limit = this.#options.socketLimit?.(event.client);
    const origin = originOf(event.client, base);
    const socket = new WireSocket(base + path, {
      offerCompression: event.client.startsWith('compress'),
      ...(origin === undefined ? {} : { origin }),
      ...(limit === undefined ? {} : { maxPayload: limit }),
    });
    this.#sockets.set(event.client, socket);
    this.#expect(event.client);
    await this.#options.pace.settle(socket.opened());
  }

  #noteState(event: RecordedEvent): void {
    const socket = this.#sockets.get(event.client);
    const facts: Record<string, unknown> = {};
    if ('process_alive' in event) facts.process_alive = this.#options.alive();
    if ('socket_open' in event) facts.socket_open = socket?.open ?? false;
    if ('open' in event) facts.open = socket?.open ?? false;
    if ('closed' in event) facts.closed = !(socket?.open ?? false);
    if ('after_bytes' in event) facts.after_bytes = event.after_bytes;
    if ('messages_after_first_closed' in event) {
      facts.messages_after_first_closed = this.#countAll() - (this.#closedFirst ?? 0);
    }
    socket?.items.push({ type: 'state', facts });
  }

  /** Messages heard on all sockets together. */
  #countAll(): number {
    let count = 0;
    for (const { items } of this.#sockets.values()) {
      count += items.filter(({ type }) => type === 'text' || type === 'binary').length;
    }
    return count;
  }
}

function sentText(data: unknown): string {
  if (typeof data === 'string') return data;
  if (isRecord(data) && typeof data.length === 'number') return 'x'.repeat(data.length);
  return JSON.stringify(data);
}

/** The recordings name the sockets of the Origin scenarios after the Origin they sent. */
function originOf(client: string, base: string): string | undefined {
  if (client === 'ws-same-origin') return base.replace('ws:', 'http:');
  if (client.endsWith('-foreign-origin') || client.endsWith('-ws-foreign')) return 'http://evil.test';
  return undefined;
}
