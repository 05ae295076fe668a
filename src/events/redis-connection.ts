/**
 * One connection to Redis as the bus wants it: it connects again for ever, queues nothing while it is away, fails what was
 * under way when it breaks, and never throws at the process.
 */
import { Redis, type RedisOptions } from 'ioredis';
import { fullJitter } from '../lib/backoff.ts';
import type { Clock, Timer } from '../lib/clock.ts';

const RETRY = { baseMs: 200, capMs: 3000 };
const RETRY_AT_LEAST_MS = 20;
const AFTER_END_MS = 1000;
const BEHAVIOUR = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  connectTimeout: 3000,
  // a command that gets no answer for so long, also the greeting, ends the connection
  socketTimeout: 4000,
  disconnectTimeout: 200,
  // what was the primary is a replica now: its address may lead to the new one
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} as const satisfies RedisOptions;

export interface ConnectionOptions {
  readonly url: string;
  /** Shown by CLIENT LIST. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onReady: () => void;
  /** The connection broke, or could not be made. */
  readonly onClose: () => void;
  readonly onError: (error: Error) => void;
}

export class RedisConnection {
  readonly redis: Redis;
  #stopped = false;
  #again: Timer | undefined;

  constructor({ url, name, clock, random, onReady, onClose, onError }: ConnectionOptions) {
    this.redis = new Redis(url, {
      ...BEHAVIOUR,
      connectionName: name,
      retryStrategy: (tries) => RETRY_AT_LEAST_MS + fullJitter(tries, RETRY, random),
    });
    this.redis.on('error', onError);
    this.redis.on('ready', onReady);
    this.redis.on('close', onClose);
    // closed at an unlucky moment the client gives up for good
    this.redis.on('end', () => {
      if (!this.#stopped) this.#again = clock.after(AFTER_END_MS, () => this.connect());
    });
  }

  connect(): void {
    // failures arrive as events
    if (!this.#stopped) void this.redis.connect().catch(() => undefined);
  }

  get ready(): boolean {
    return this.redis.status === 'ready';
  }

  /** Ends this connection and makes another. */
  replace(): void {
    this.redis.disconnect(true);
  }

  /** Resolves when its socket is closed. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#again?.cancel();
    const { status } = this.redis;
    const closing = status === 'ready' || status === 'connect';
    const closed = new Promise((resolve) => this.redis.once('close', resolve));
    this.redis.disconnect();
    // in any other state it has no socket, or one that is destroyed before it connects
    if (closing) await closed;
  }
}

/** What went wrong, as a word: messages of Redis may repeat what was sent to it, a password too. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return /^[A-Z]{2,}\b/.exec(error.message)?.[0] ?? error.name;
}
