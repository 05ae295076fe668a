/**
 * Asks one instance how it is, for ever: its queue at each probe, its version and memory at first contact and now and
 * then, its lists at first contact and whenever it comes back. Never two probes at once.
 */
import type { CallOptions, ComfyHttp } from '../comfyui/http.ts';
import { describeFailure, type HttpFailure } from '../comfyui/http-failure.ts';
import type { HttpResult } from '../comfyui/http-transport.ts';
import { type ObjectInfo, withEmbeddings } from '../comfyui/object-info.ts';
import type { Queue } from '../comfyui/queue.ts';
import type { SystemStats } from '../comfyui/system-stats.ts';
import { type Clock, pause } from '../lib/clock.ts';
import type { Gate } from '../lib/gate.ts';
import type { Logger } from '../lib/logger.ts';
import { Loop } from '../lib/loop.ts';
import type { Service } from '../lib/service.ts';
import { afterProbe, type HealthRecord, NEVER_PROBED, nextProbeInMs, type ProbeResult } from './health.ts';

export interface ProberOptions {
  readonly http: ComfyHttp;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly unhealthyAfterMisses: number;
  /** Its lists are read again this often: model files are added while an instance runs. */
  readonly inventoryRefreshMs: number;
  /** So many instances of the fleet are asked for their lists at once. */
  readonly lists: Gate;
  /** What is amiss although it answers, one line, or null. */
  readonly doubt: () => string | null;
  /** One probe is done. Rejections are logged. */
  readonly onProbe: (probe: Probe) => Promise<void>;
  readonly onInventory: (info: ObjectInfo) => Promise<void>;
}

export interface Probe {
  readonly record: HealthRecord;
  /** Null when it did not answer. */
  readonly queue: Queue | null;
  /** Null when it was not asked, or did not answer. */
  readonly stats: SystemStats | null;
  /** It answers again, or for the first time. */
  readonly cameBack: boolean;
}

const STATS_EVERY = 6;
const STATS_DEADLINE_MS = 3000;
const INVENTORY_DEADLINE_MS = 30_000;
/** Lists that could not be read are asked for again this soon: until then nobody knows what the instance lacks. */
const INVENTORY_RETRY_MS = 15_000;
/** Lists that are said to be wrong again and again are not read more often than this. */
const INVENTORY_LEAST_MS = 1000;
/** Many that come back at once are asked at different moments. */
const CROWD_JITTER_MS = 1000;
/** One that refuses connections for no longer than this may well be on its way up. */
const STARTING_MS = 300_000;
const EMPTY_QUEUE: Queue = { running: [], pending: [] };

export class Prober implements Service {
  readonly #options: ProberOptions;
  readonly #probing: Loop;
  readonly #reading: Loop;
  #record: HealthRecord = NEVER_PROBED;
  #probes = 0;
  #listsRead = false;
  /** When its lists were last asked for, monotonic ms. */
  #listsAt = Number.NEGATIVE_INFINITY;
  /** Since when it has not answered, monotonic ms; null while it does. */
  #awaySince: number | null;
  /** Nothing listens at its address. */
  #refuses = false;
  #isProbing = false;

  constructor(options: ProberOptions) {
    const { clock, logger } = options;
    this.#options = options;
    this.#awaySince = clock.monotonic();
    this.#probing = new Loop({
      name: 'probe',
      intervalMs: () => nextProbeInMs(this.#record, options.intervalMs, options.random),
      step: async (signal) => {
        this.#isProbing = true;
        await this.#probe(signal).finally(() => {
          this.#isProbing = false;
        });
      },
      clock,
      logger,
    });
    this.#reading = new Loop({
      name: 'inventory',
      intervalMs: () => (this.#listsRead ? options.inventoryRefreshMs : INVENTORY_RETRY_MS),
      step: (signal) => this.#readInventory(signal),
      clock,
      logger,
    });
  }

  get record(): HealthRecord {
    return this.#record;
  }

  get isProbing(): boolean {
    return this.#isProbing;
  }

  /** Nothing listens at its address, but it has not been away for long: it may well be on its way up. */
  get isStarting(): boolean {
    const since = this.#awaySince;
    return this.#refuses && since !== null && this.#options.clock.monotonic() - since < STARTING_MS;
  }

  async start(): Promise<void> {
    await this.#probing.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#probing.stop(), this.#reading.stop()]);
  }

  /** Asks again soon: something happened that a probe will show. */
  probeSoon(): void {
    this.#probing.wake();
  }

  /** Its lists are out of date: it refused what they offer. Resolves when they were read once more, or could not be. */
  async rereadLists(): Promise<void> {
    this.#reading.wake();
    await this.#reading.settled();
  }

  /** Resolves when no probe is under way. */
  async settled(): Promise<void> {
    await this.#probing.settled();
  }

  /** Somebody else tried to reach it and could not: it gets no work until it answers a probe. */
  noteFailure(error: string): void {
    this.#missed(error);
    this.#probing.wake();
  }

  async #probe(signal: AbortSignal): Promise<void> {
    const { clock, timeoutMs, onProbe, doubt } = this.#options;
    const before = this.#record;
    const startedAt = clock.monotonic();
    const queue = await this.#readQueue(signal);
    if (signal.aborted) return;
    if (!('running' in queue)) {
      this.#refuses = isNotUp(queue);
      this.#missed(describeFailure(queue));
      await onProbe({ record: this.#record, queue: null, stats: null, cameBack: false });
      return;
    }
    const responseMs = Math.min(clock.monotonic() - startedAt, timeoutMs);
    this.#take({ kind: 'answered', responseMs, doubt: doubt() });
    const cameBack = before.upSince === null;
    this.#awaySince = null;
    this.#refuses = false;
    const stats = await this.#readStats(cameBack, signal);
    if (signal.aborted) return;
    await onProbe({ record: this.#record, queue, stats, cameBack });
    if (cameBack) await this.#rereadInventory();
  }

  #missed(error: string): void {
    this.#awaySince ??= this.#options.clock.monotonic();
    this.#take({ kind: 'missed', error: this.isStarting ? `not up yet: ${error}` : error });
  }

  #take(result: ProbeResult): void {
    const { clock, logger, unhealthyAfterMisses } = this.#options;
    const { health: from } = this.#record;
    this.#record = afterProbe(this.#record, result, clock.now(), unhealthyAfterMisses);
    const { health: to, lastError: reason } = this.#record;
    // one that starts with us is no news until it is up
    const quiet = from === 'UNKNOWN' && this.isStarting;
    const level = to !== 'UNHEALTHY' ? 'info' : quiet ? 'debug' : 'warn';
    if (to !== from) logger[level]({ from, to, reason }, 'the health of an instance changed');
  }

  /** The cheap question first: the queue itself carries every graph in it. */
  async #readQueue(signal: AbortSignal): Promise<Queue | HttpFailure> {
    const { http, timeoutMs } = this.#options;
    const call = { deadlineMs: timeoutMs, signal };
    const count = await http.getPromptCount(call);
    if (!count.ok) return count;
    if (count.value === 0) return EMPTY_QUEUE;
    const queue = await http.getQueue(call);
    return queue.ok ? queue.value : queue;
  }

  async #readStats(cameBack: boolean, signal: AbortSignal): Promise<SystemStats | null> {
    const due = cameBack || this.#probes % STATS_EVERY === 0;
    this.#probes++;
    if (!due) return null;
    const stats = await this.#options.http.getSystemStats({ deadlineMs: STATS_DEADLINE_MS, signal });
    return stats.ok ? stats.value : null;
  }

  /** Beside the probes: a list of many nodes may take its time. */
  async #rereadInventory(): Promise<void> {
    // in this order: a start is a wake of its own, and the lists are long
    this.#reading.wake();
    await this.#reading.start();
  }

  async #readInventory(signal: AbortSignal): Promise<void> {
    const { lists, clock, random, http } = this.#options;
    const call = { deadlineMs: INVENTORY_DEADLINE_MS, signal };
    const early = this.#listsAt + INVENTORY_LEAST_MS - clock.monotonic();
    if (early > 0) await pause(clock, early, signal);
    if (lists.isFull) await pause(clock, random() * CROWD_JITTER_MS, signal);
    this.#listsAt = clock.monotonic();
    const info = await lists.run(() => readLists(http, call), signal);
    if (!info) return;
    this.#listsRead = info.ok;
    if (info.ok) await this.#options.onInventory(info.value);
    else if (!signal.aborted) {
      this.#options.logger.warn(
        { reason: describeFailure(info) },
        'the lists of an instance could not be read',
      );
    }
  }
}

/** Embeddings are in no list of an input; a server without that question has none to tell. */
async function readLists(http: ComfyHttp, call: CallOptions): Promise<HttpResult<ObjectInfo>> {
  const info = await http.getObjectInfo(call);
  if (!info.ok) return info;
  const embeddings = await http.getEmbeddings(call);
  if (!embeddings.ok && embeddings.reason !== 'status') return embeddings;
  const names = embeddings.ok ? embeddings.value : [];
  return { ok: true, value: { ...info.value, inventory: withEmbeddings(info.value.inventory, names) } };
}

/** Nothing listens at its address, or a proxy before it says so. */
function isNotUp({ reason, status }: HttpFailure): boolean {
  return reason === 'refused' || (status !== undefined && status >= 502 && status <= 504);
}
