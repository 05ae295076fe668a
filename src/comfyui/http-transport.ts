/**
 * One instance's HTTP connections: requests with a deadline, answers with a bound, every failure a value. No Origin is
 * ever sent: ComfyUI refuses one that does not match its own address (observed on ComfyUI 0.3.64).
 */
import type { Readable } from 'node:stream';
import { type Dispatcher, Pool } from 'undici';
import type { Login } from '../lib/address.ts';
import type { Clock } from '../lib/clock.ts';
import type { Json } from '../lib/json.ts';
import type { Service } from '../lib/service.ts';
import { failureOfError, type HttpFailure, type HttpFailureReason } from './http-failure.ts';
import { lastLook } from './last-look.ts';
import { parseLenientJson } from './lenient-json.ts';

export interface TransportOptions {
  /** Base URL of the instance; a path in it is kept in front of every route. */
  readonly url: string;
  /** Sent with every request. */
  readonly login?: Login | null;
  readonly clock: Clock;
  /** Connections kept open at most; default 16, so that slow files do not hold up probes. */
  readonly connections?: number;
  /** Longest dial, in ms; default 3000. */
  readonly connectTimeoutMs?: number;
  /** Asked before each request that may change something there: false and it is not sent, it answers `aborted`. */
  readonly mayAct?: (() => boolean) | undefined;
  /** The head of an answer came, whatever it says: somebody is there. */
  readonly onAnswer?: () => void;
  /** A call is over; told for figures. */
  readonly onRequest?: OnComfyRequest | undefined;
}

export interface ComfyRequest {
  /** The path without what differs from call to call: /history/{id}. */
  readonly route: string;
  /** `ok`: an answer below status 400. `malformed`: too large, or not HTTP; what it says is judged elsewhere. */
  readonly outcome: 'ok' | HttpFailureReason;
  /** To the end of the answer; of a file, to its head. */
  readonly ms: number;
}

export type OnComfyRequest = (request: ComfyRequest) => void;

export interface HttpCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Readable;
  /** Until the whole answer is there (`request`) or its head is (`open`), in ms. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Longest silence within a body, in ms; default 15,000. */
  readonly idleMs?: number;
}

/** An answer whose body still streams; who takes it must read it to its end or destroy it. */
export interface OpenAnswer {
  readonly ok: true;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readable;
}

export interface WholeAnswer {
  readonly ok: true;
  readonly status: number;
  readonly body: string;
}

export interface Success<T> {
  readonly ok: true;
  readonly value: T;
}

export type HttpResult<T> = Success<T> | HttpFailure;

const DEFAULT_IDLE_MS = 15_000;

export class HttpTransport implements Service {
  readonly #options: TransportOptions;
  readonly #basePath: string;
  readonly #authorization: Readonly<Record<string, string>>;
  #pool: Pool | undefined;
  /** The pool, with the last look before each request. */
  #sender: Dispatcher | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
    const url = new URL(options.url);
    this.#basePath = url.pathname.replace(/\/+$/, '');
    this.#authorization = options.login ? { authorization: options.login.basic() } : {};
  }

  async start(): Promise<void> {
    this.#pool ??= new Pool(new URL(this.#options.url).origin, {
      connections: this.#options.connections ?? 16,
      connect: { timeout: this.#options.connectTimeoutMs ?? 3000 },
      // well below the 75 s after which older servers hang up, so that a kept connection is rarely dead already
      keepAliveTimeout: 20_000,
      headersTimeout: 0,
      allowH2: false,
    });
    const mayAct = (): boolean => this.#options.mayAct?.() !== false;
    this.#sender = this.#pool.compose(lastLook(mayAct, () => new TransportStopped()));
  }

  /** Ends what is in flight; those calls, and calls outside of start and stop, answer `aborted`. */
  async stop(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    this.#sender = undefined;
    await pool?.destroy(new TransportStopped());
  }

  /** Sends and reads the whole answer, at most `maxBytes` of it. */
  async request(call: HttpCall, maxBytes: number): Promise<WholeAnswer | HttpFailure> {
    return this.#told(call, () => this.#request(call, maxBytes));
  }

  async #request(call: HttpCall, maxBytes: number): Promise<WholeAnswer | HttpFailure> {
    const limit = new Limit(call, this.#options.clock);
    try {
      const answer = await this.#send(call, limit.signal);
      const body = await readBounded(answer, maxBytes);
      if (body === null)
        return { ok: false, reason: 'malformed', message: `an answer over ${maxBytes} bytes` };
      return { ok: true, status: answer.statusCode, body };
    } catch (error) {
      return limit.failure(error);
    } finally {
      limit.release();
    }
  }

  /** Sends and answers as soon as the head is there. The caller's signal keeps ruling over the body. */
  async open(call: HttpCall): Promise<OpenAnswer | HttpFailure> {
    return this.#told(call, () => this.#open(call));
  }

  async #open(call: HttpCall): Promise<OpenAnswer | HttpFailure> {
    const limit = new Limit(call, this.#options.clock);
    try {
      const answer = await this.#send(call, limit.signal);
      limit.endDeadline();
      // the stream's reader gets its errors; this listener only keeps one between two readers from ending the process
      answer.body.on('error', () => undefined);
      answer.body.once('close', () => limit.release());
      return { ok: true, status: answer.statusCode, headers: answer.headers, body: answer.body };
    } catch (error) {
      limit.release();
      return limit.failure(error);
    }
  }

  /** Sends, expects 200 and reads the body as lenient JSON. */
  async json(call: HttpCall, maxBytes: number): Promise<HttpResult<Json>> {
    const answer = await this.request(call, maxBytes);
    if (!answer.ok) return answer;
    if (answer.status !== 200) return statusFailure(answer.status);
    const json = parseLenientJson(answer.body);
    if (!json.ok) return { ok: false, reason: 'malformed', message: json.reason };
    return { ok: true, value: json.value };
  }

  async #told<T extends WholeAnswer | OpenAnswer | HttpFailure>(
    call: HttpCall,
    send: () => Promise<T>,
  ): Promise<T> {
    const { clock, onRequest } = this.#options;
    if (!onRequest) return send();
    const begun = clock.monotonic();
    const answer = await send();
    const outcome = answer.ok ? (answer.status < 400 ? 'ok' : 'status') : answer.reason;
    onRequest({ route: routeOf(call.path), outcome, ms: clock.monotonic() - begun });
    return answer;
  }

  async #send(call: HttpCall, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    if (!this.#sender) throw new TransportStopped();
    if (call.method === 'POST' && this.#options.mayAct?.() === false) throw new TransportStopped();
    const query = call.query ? `?${new URLSearchParams(call.query).toString()}` : '';
    const answer = await this.#sender.request({
      method: call.method,
      path: `${this.#basePath}${call.path}${query}`,
      headers: { ...this.#authorization, ...call.headers },
      body: call.body ?? null,
      signal,
      bodyTimeout: call.idleMs ?? DEFAULT_IDLE_MS,
    });
    this.#options.onAnswer?.();
    return answer;
  }
}

function routeOf(path: string): string {
  return path.replace(/^\/(history|object_info)\/.*$/, '/$1/{id}');
}

/** The failure of an answer with another status than the call expects. */
export function statusFailure(status: number): HttpFailure {
  return { ok: false, reason: 'status', status, message: `status ${status}` };
}

class TransportStopped extends Error {}

/** The deadline of one call and its caller's signal, joined; remembers which of them ended it. */
class Limit {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #onCallerAbort = (): void => this.#end('aborted');
  readonly #timer;
  #endedBy: 'timeout' | 'aborted' | null = null;

  constructor(call: HttpCall, clock: Clock) {
    this.#caller = call.signal;
    this.#timer = clock.after(call.deadlineMs, () => this.#end('timeout'));
    if (this.#caller?.aborted) this.#end('aborted');
    else this.#caller?.addEventListener('abort', this.#onCallerAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  endDeadline(): void {
    this.#timer.cancel();
  }

  release(): void {
    this.#timer.cancel();
    this.#caller?.removeEventListener('abort', this.#onCallerAbort);
  }

  failure(error: unknown): HttpFailure {
    if (this.#endedBy === 'timeout') return { ok: false, reason: 'timeout', message: 'no answer in time' };
    if (this.#endedBy === 'aborted' || error instanceof TransportStopped) {
      return { ok: false, reason: 'aborted', message: 'given up by the caller' };
    }
    return failureOfError(error);
  }

  #end(by: 'timeout' | 'aborted'): void {
    this.#endedBy ??= by;
    this.#controller.abort();
  }
}

/** The text of a body, or null once it exceeds the bound; the rest is not read. */
async function readBounded(answer: Dispatcher.ResponseData, maxBytes: number): Promise<string | null> {
  const announced = Number(answer.headers['content-length'] ?? Number.NaN);
  if (announced > maxBytes) {
    discard(answer.body);
    return null;
  }
  // The client holds a body to its announced length, and collects it with less work than an iterator makes.
  if (announced <= maxBytes) return answer.body.text();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      discard(answer.body);
      return null;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Closes a body that nobody will read. */
export function discard(body: Readable): void {
  body.on('error', () => undefined);
  body.destroy();
}
