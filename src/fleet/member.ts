/**
 * One instance of the fleet: its client, its socket's client id, its probes, its row. What the scheduler needs of an
 * instance it gets here.
 */
import { createHash } from 'node:crypto';
import { type CancelOptions, type CancelOutcome, cancelPrompt } from '../comfyui/cancel.ts';
import { ComfyHttp } from '../comfyui/http.ts';
import { HttpTransport } from '../comfyui/http-transport.ts';
import type { ComfyMessage } from '../comfyui/messages.ts';
import type { ObjectInfo } from '../comfyui/object-info.ts';
import type { Queue } from '../comfyui/queue.ts';
import { ComfySocket } from '../comfyui/socket.ts';
import type { SocketClose } from '../comfyui/socket-options.ts';
import type { Inventory } from '../domain/capabilities.ts';
import type { Instance } from '../domain/instance.ts';
import type { EventBus } from '../events/bus.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Service } from '../lib/service.ts';
import { type HealthPatch, saveHealth, saveInventory, setClientId } from '../store/instances.ts';
import type { Store } from '../store/open.ts';
import { nextClientId } from './client-id.ts';
import type { InstanceState } from './instance-state.ts';
import { isOurs } from './ownership.ts';
import { type Probe, Prober } from './prober.ts';

export interface MemberOptions {
  readonly instance: Instance;
  readonly inventory: Inventory | null;
  /** The client id stored by an earlier process; null for none. */
  readonly clientId: string | null;
  readonly fleetId: string;
  readonly store: Store;
  readonly bus: EventBus;
  readonly clock: Clock;
  readonly random: () => number;
  readonly ids: () => string;
  readonly logger: Logger;
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
  readonly unhealthyAfterMisses: number;
  /** False: no socket at all, everything is found out by asking. */
  readonly useSocket: boolean;
  readonly events: MemberEvents;
}

/** Called in turn; a listener must not throw. */
export interface MemberEvents {
  /** Health, inventory or the socket changed. */
  readonly onChange: (id: string) => void;
  readonly onMessage: (id: string, message: ComfyMessage, clientId: string) => void;
  /** The socket opened or closed; `gone`: the other side went away, so it may have restarted. */
  readonly onSocket: (id: string, change: 'open' | 'closed' | 'gone') => void;
  /** Its queue was read. */
  readonly onQueue: (id: string, queue: Queue) => void;
  /** It answers again, or for the first time: what it had in memory may be gone. */
  readonly onComeback: (id: string) => void;
}

/** A socket that has been down for longer is worth mentioning. */
const SOCKET_DOUBT_MS = 3000;
/** Every enqueue makes ComfyUI send `status` to all sockets; one that hears none is deaf. */
const DEAF_AFTER_MS = 2000;
const SAVE_EVERY_MS = 10_000;

export class Member implements Service {
  readonly id: string;
  readonly http: ComfyHttp;
  readonly #options: MemberOptions;
  readonly #transport: HttpTransport;
  readonly #socket: ComfySocket;
  readonly #prober: Prober;
  readonly #deafTimers = new Set<Timer>();
  #instance: Instance;
  #inventory: Inventory | null;
  #clientId: string | null;
  #clientIdUsed = false;
  #clientIdSuspect = false;
  #socketDownSince: number | null;
  #queue: Queue = { running: [], pending: [] };
  #posts = 0;
  #savedAt = Number.NEGATIVE_INFINITY;
  #previewsHaveMetadata = false;
  /** The first dial has come to something. */
  #dialed = false;
  #running = false;
  #opening: Promise<void> = Promise.resolve();

  constructor(options: MemberOptions) {
    const { instance, clock, random, logger } = options;
    this.id = instance.id;
    this.#options = options;
    this.#instance = instance;
    this.#inventory = options.inventory;
    this.#clientId = options.clientId;
    this.#socketDownSince = options.useSocket ? clock.monotonic() : null;
    this.#transport = new HttpTransport({
      url: instance.url,
      clock,
      connectTimeoutMs: options.probeTimeoutMs,
    });
    this.http = new ComfyHttp(this.#transport);
    this.#socket = new ComfySocket({
      url: instance.url,
      clock,
      random,
      logger,
      clientId: () => this.#chooseClientId(),
      onMessage: (message, clientId) => this.#heard(message, clientId),
      onOpen: () => this.#socketOpened(),
      onClose: (close) => this.#socketClosed(close),
    });
    this.#prober = new Prober({
      http: this.http,
      clock,
      random,
      logger,
      intervalMs: options.probeIntervalMs,
      timeoutMs: options.probeTimeoutMs,
      unhealthyAfterMisses: options.unhealthyAfterMisses,
      doubt: () => this.#doubt(),
      onProbe: (probe) => this.#probed(probe),
      onInventory: (info) => this.#inventoryRead(info),
    });
  }

  /** Stops one prompt; see cancelPrompt. */
  cancel(options: Omit<CancelOptions, 'clock'>): Promise<CancelOutcome> {
    return cancelPrompt(this.http, { ...options, clock: this.#options.clock });
  }

  state(): InstanceState {
    return {
      instance: this.#instance,
      answering: this.#prober.record.misses === 0 && this.#prober.record.lastSeenAt !== null,
      listening: this.#socket.state === 'open',
      inventory: this.#inventory,
    };
  }

  /** Messages of prompts posted with this id arrive. */
  hears(clientId: string): boolean {
    return this.#socket.state === 'open' && this.#socket.clientId === clientId;
  }

  /** Its socket agreed to name the prompt of each preview, so a picture without a name is a result. */
  get previewsHaveMetadata(): boolean {
    return this.#previewsHaveMetadata;
  }

  /** False: it is asked for everything, by configuration. */
  get usesSocket(): boolean {
    return this.#options.useSocket;
  }

  /** Its socket is not open, but a dial is under way or about to begin: waiting a moment may be worth it. */
  get isDialing(): boolean {
    return this.#options.useSocket && (this.#socket.state === 'connecting' || !this.#dialed);
  }

  /**
   * The client id to post with. Until `done` is called it stays in use, so that a reconnect takes it again and hears the
   * prompt that runs.
   */
  beginPrompt(): { readonly clientId: string; done(): void } {
    const clientId = this.#clientId ?? this.#newClientId();
    this.#posts++;
    let open = true;
    return {
      clientId,
      done: () => {
        if (open) this.#posts--;
        open = false;
      },
    };
  }

  /** A prompt was queued at this moment (monotonic ms): the socket must hear of it, or it is deaf and is replaced. */
  expectStatus(postedAt: number): void {
    const { clock, logger } = this.#options;
    const socket = this.#socket;
    const { clientId } = socket;
    if (socket.state !== 'open' || clientId === null) return;
    const timer = clock.after(DEAF_AFTER_MS, () => {
      this.#deafTimers.delete(timer);
      const same = socket.state === 'open' && socket.clientId === clientId;
      if (!same || (socket.lastStatusAt ?? 0) >= postedAt) return;
      logger.warn({ instance: this.id }, 'the socket of an instance is deaf and is replaced');
      this.#clientIdSuspect = true;
      socket.replace();
    });
    this.#deafTimers.add(timer);
  }

  /** It could not be reached just now: it gets no work until it answers again. */
  noteFailure(error: string): void {
    this.#prober.noteFailure(error);
    this.#options.events.onChange(this.id);
  }

  /** The socket follows the first probe, which tells whether prompts of the stored client id still run. */
  async start(): Promise<void> {
    this.#running = true;
    await this.#transport.start();
    await this.#prober.start();
    this.#opening = this.#prober.settled().then(async () => {
      if (this.#running && this.#options.useSocket) await this.#socket.start();
    });
  }

  async stop(): Promise<void> {
    this.#running = false;
    for (const timer of this.#deafTimers) timer.cancel();
    this.#deafTimers.clear();
    await this.#prober.stop();
    await this.#opening;
    await this.#socket.stop();
    await this.#transport.stop();
  }

  #chooseClientId(): string {
    const inQueue = [...this.#queue.running, ...this.#queue.pending].some(
      (item) => item.clientId === this.#clientId && isOurs(item, this.#options.fleetId),
    );
    const chosen = nextClientId(
      {
        last: this.#clientId,
        wasUsed: this.#clientIdUsed,
        inUse: this.#posts > 0 || inQueue,
        suspect: this.#clientIdSuspect,
      },
      () => this.#newClientId(),
    );
    this.#clientIdSuspect = false;
    return chosen;
  }

  #newClientId(): string {
    const { ids, store, logger } = this.#options;
    const clientId = ids();
    this.#clientId = clientId;
    this.#clientIdUsed = false;
    // losing this write only costs a successor the live progress of what runs now
    setClientId(store.db, this.id, clientId).catch((error: unknown) =>
      logger.warn({ err: error }, 'a client id could not be stored'),
    );
    return clientId;
  }

  #heard(message: ComfyMessage, clientId: string): void {
    if (message.kind === 'featureFlags') this.#previewsHaveMetadata = message.supportsPreviewMetadata;
    this.#options.events.onMessage(this.id, message, clientId);
  }

  #socketOpened(): void {
    this.#dialed = true;
    this.#clientIdUsed = true;
    this.#socketDownSince = null;
    if (this.#prober.record.health === 'DEGRADED') this.#prober.probeSoon();
    this.#options.events.onSocket(this.id, 'open');
  }

  #socketClosed(close: SocketClose): void {
    this.#dialed = true;
    if (!this.#running) return;
    this.#socketDownSince ??= this.#options.clock.monotonic();
    if (!close.wasOpen) return;
    if (close.reason === 'dead') this.#clientIdSuspect = true;
    this.#prober.probeSoon();
    this.#options.events.onSocket(this.id, close.reason === 'replaced' ? 'closed' : 'gone');
  }

  #doubt(): string | null {
    const since = this.#socketDownSince;
    if (since === null || this.#options.clock.monotonic() - since < SOCKET_DOUBT_MS) return null;
    return 'its WebSocket is down; jobs run, but live progress is missing';
  }

  async #probed(probe: Probe): Promise<void> {
    const { record, queue, stats, cameBack } = probe;
    if (queue) this.#queue = queue;
    const foreign = queue ? this.#foreign(queue) : this.#instance.foreignPrompts;
    await this.#save({
      health: record.health,
      lastSeenAt: record.lastSeenAt,
      lastError: record.lastError,
      responseMs: record.responseMs,
      upSince: record.upSince,
      ...(queue && { queueRunning: queue.running.length, queuePending: queue.pending.length }),
      foreignPrompts: foreign,
      ...(stats && {
        comfyuiVersion: stats.comfyuiVersion,
        gpu: stats.gpu,
        vramTotalBytes: stats.vramTotalBytes,
        vramFreeBytes: stats.vramFreeBytes,
      }),
    });
    const { events } = this.#options;
    if (cameBack) events.onComeback(this.id);
    if (queue) events.onQueue(this.id, queue);
    events.onChange(this.id);
  }

  #foreign(queue: Queue): number {
    return [...queue.running, ...queue.pending].filter((item) => !isOurs(item, this.#options.fleetId)).length;
  }

  /** Into memory at once; into the row when it matters, else now and then. */
  async #save(patch: HealthPatch): Promise<void> {
    const { store, bus, clock } = this.#options;
    const before = this.#instance;
    this.#instance = { ...before, ...patch };
    const changed = MATTERS.some((field) => before[field] !== this.#instance[field]);
    if (!changed && clock.monotonic() - this.#savedAt < SAVE_EVERY_MS) return;
    const now = clock.now();
    const saved = await saveHealth(store.db, this.id, patch, now);
    this.#savedAt = clock.monotonic();
    if (saved) this.#instance = { ...this.#instance, draining: saved.draining, updatedAt: saved.updatedAt };
    if (changed) bus.publish({ kind: 'instance', instanceId: this.id, at: now });
  }

  async #inventoryRead(info: ObjectInfo): Promise<void> {
    const { store, bus, clock, events } = this.#options;
    const { inventory } = info;
    const key = createHash('sha256').update(JSON.stringify(inventory)).digest('hex').slice(0, 32);
    if (key === this.#instance.inventoryKey && this.#inventory) return;
    this.#inventory = inventory;
    const now = clock.now();
    await saveInventory(store.db, this.id, key, inventory, now);
    this.#instance = { ...this.#instance, inventoryKey: key };
    bus.publish({ kind: 'instance', instanceId: this.id, at: now });
    events.onChange(this.id);
  }
}

const MATTERS = [
  'health',
  'lastError',
  'upSince',
  'queueRunning',
  'queuePending',
  'foreignPrompts',
  'comfyuiVersion',
  'gpu',
  'vramTotalBytes',
] as const satisfies readonly (keyof Instance)[];
