/** One instance of the fleet: its calls, its socket, its probes, its row. What the scheduler needs of an instance is here. */
import { type CancelOptions, type CancelOutcome, cancelPrompt } from '../comfyui/cancel.ts';
import { ComfyHttp } from '../comfyui/http.ts';
import { HttpTransport } from '../comfyui/http-transport.ts';
import type { ComfyMessage } from '../comfyui/messages.ts';
import type { Queue } from '../comfyui/queue.ts';
import type { Instance } from '../domain/instance.ts';
import type { Service } from '../lib/service.ts';
import type { HealthPatch } from '../store/instances.ts';
import type { Experience } from './breaker.ts';
import type { Standing } from './ejections.ts';
import { Guard } from './guard.ts';
import { type ClientIdTicket, Hearing } from './hearing.ts';
import { InstanceRow } from './instance-row.ts';
import type { InstanceState } from './instance-state.ts';
import { LifeSigns } from './life-signs.ts';
import type { MemberOptions } from './member-options.ts';
import { News } from './news.ts';
import { isOurs } from './ownership.ts';
import type { Source } from './panic.ts';
import { probePatch } from './probe-patch.ts';
import { type Probe, Prober } from './prober.ts';

export class Member implements Service {
  readonly id: string;
  readonly http: ComfyHttp;
  readonly #options: MemberOptions;
  readonly #transport: HttpTransport;
  readonly #signs: LifeSigns;
  readonly #hearing: Hearing;
  readonly #prober: Prober;
  readonly #row: InstanceRow;
  readonly #guard: Guard;
  readonly #news: News;
  #queue: Queue = { running: [], pending: [] };
  #opening: Promise<void> = Promise.resolve();
  #running = false;

  constructor(options: MemberOptions) {
    const { instance, login, clock, probeTimeoutMs } = options;
    const { url } = instance;
    this.id = instance.id;
    this.#options = options;
    this.#row = new InstanceRow(options, instance, options.inventory);
    this.#news = new News({ look: () => this.state(), tell: () => options.events.onChange(this.id) });
    this.#transport = new HttpTransport({
      url,
      login,
      clock,
      connectTimeoutMs: probeTimeoutMs,
      mayAct: options.mayAct,
      onAnswer: () => this.#signs.note(),
      onRequest: options.onRequest,
    });
    this.http = new ComfyHttp(this.#transport);
    this.#signs = new LifeSigns({ http: this.http, clock, deadlineMs: probeTimeoutMs });
    this.#hearing = new Hearing({
      ...options,
      instanceId: instance.id,
      url,
      answering: () => this.#isAnswering,
      isQueued: (clientId) => this.#ours().some((item) => item.clientId === clientId),
      onMessage: (message, clientId) => this.#heard(message, clientId),
      onSignOfLife: () => this.#signs.note(),
      onChange: (change) => this.#socketChanged(change),
    });
    this.#guard = new Guard({
      ...options,
      stored: instance.breaker,
      http: this.http,
      answering: () => this.#isAnswering,
      nodeTypes: () => this.#row.inventory?.nodeTypes ?? null,
      onChange: () => this.#breakerChanged(),
    });
    this.#prober = new Prober({
      ...options,
      http: this.http,
      intervalMs: options.probeIntervalMs,
      timeoutMs: probeTimeoutMs,
      // not at the first answer after a while: its socket could not be there yet
      doubt: () => (this.#isAnswering ? this.#hearing.trouble : null),
      onProbe: (probe) => this.#probed(probe),
      onInventory: async ({ inventory }) => {
        if (!options.mayAct()) return;
        if (await this.#row.saveInventory(inventory)) this.#news.changed();
      },
    });
  }

  state(): InstanceState {
    return {
      instance: this.#row.instance,
      answering: this.#isAnswering,
      starting: this.#prober.isStarting,
      stale: this.#signs.areOlderThan(this.#options.probeIntervalMs),
      slowStart: this.#guard.isOnTrial,
      listening: this.#hearing.isOpen,
      inventory: this.#row.inventory,
      breaker: this.#guard.state,
    };
  }

  /** The prompt of ours that stands for no job: the canary under way; null when there is none. */
  get canaryId(): string | null {
    return this.#guard.canaryId;
  }

  /** How it counts when others are to be put aside. */
  get standing(): Standing {
    return { id: this.id, answering: this.#isAnswering, ...this.#guard.use };
  }

  /** Stops one prompt; see cancelPrompt. */
  cancel(options: Omit<CancelOptions, 'clock'>): Promise<CancelOutcome> {
    return cancelPrompt(this.http, { ...options, clock: this.#options.clock });
  }

  /** False: it is asked for everything, by configuration. */
  get usesSocket(): boolean {
    return this.#options.useSocket;
  }

  /** Its socket is not open, but a dial is under way or about to begin: waiting a moment may be worth it. */
  get isDialing(): boolean {
    return this.#hearing.isDialing;
  }

  /** Its socket agreed to name the prompt of each preview, so a picture without a name is a result. */
  get previewsHaveMetadata(): boolean {
    return this.#hearing.previewsHaveMetadata;
  }

  /** Messages of prompts posted with this client id arrive. */
  hears(clientId: string): boolean {
    return this.#hearing.hears(clientId);
  }

  /** No prompt of ours is there and one is about to be: its socket may take a moment to be at its best, in which `isDialing`. */
  readyForPrompt(): void {
    this.#hearing.renew();
  }

  /** The client id to post a prompt with; `done` is called when the prompt has ended. */
  beginPrompt(): ClientIdTicket {
    return this.#hearing.takeTicket();
  }

  /** A prompt was queued at this moment (monotonic ms), which its socket must hear. */
  expectStatus(postedAt: number): void {
    this.#hearing.expectStatus(postedAt);
  }

  /** What a job of this source experienced here: decides whether others follow. */
  experienced(experience: Experience, source: Source): void {
    this.#guard.experienced(experience, source);
  }

  /** The fleet cannot do without it any more, if it is only jobs that speak against it. */
  needed(): void {
    this.#guard.needed();
  }

  /** It refused what its lists offer. Resolves when they were read once more, or could not be. */
  rereadLists(): Promise<void> {
    return this.#prober.rereadLists();
  }

  /** Asks it how it is, unless that is being done; its answer is told even if nothing changed. */
  probeSoon(): void {
    this.#news.await();
    if (!this.#prober.isProbing) this.#prober.probeSoon();
  }

  /** Asks it how it is; resolves once that is in its row. */
  async probeNow(): Promise<void> {
    this.#row.saveNext();
    this.#prober.probeSoon();
    await this.#prober.settled();
  }

  /** People said something else of it in its row. */
  adopt(instance: Instance): void {
    this.#row.adopt(instance);
    this.#news.changed();
  }

  /** What it most likely has in memory now; the same list again is no news. */
  noteLoaded(models: readonly string[]): void {
    if (models !== this.#row.instance.loadedModels) void this.#store({ loadedModels: models });
  }

  /** It could not be reached just now: it gets no work until it answers again. */
  noteFailure(error: string): void {
    this.#prober.noteFailure(error);
    this.#news.changed();
  }

  /** The socket follows the first probe, which tells whether prompts of the stored client id still run. */
  async start(): Promise<void> {
    this.#running = true;
    await this.#transport.start();
    await this.#guard.start();
    await this.#prober.start();
    this.#opening = this.#prober.settled().then(async () => {
      if (this.#running) await this.#hearing.start();
    });
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#guard.stop();
    await this.#prober.stop();
    await this.#opening;
    await this.#hearing.stop();
    await this.#transport.stop();
  }

  get #isAnswering(): boolean {
    const { misses, lastSeenAt } = this.#prober.record;
    return misses === 0 && lastSeenAt !== null;
  }

  #socketChanged(change: 'open' | 'closed' | 'gone'): void {
    if (change === 'gone') this.#signs.cut();
    const isDoubted = this.#prober.record.health === 'DEGRADED';
    if (change === 'gone' || (change === 'open' && isDoubted)) this.#prober.probeSoon();
    this.#options.events.onSocket(this.id, change);
  }

  async #probed(probe: Probe): Promise<void> {
    const { queue, cameBack } = probe;
    if (queue) {
      this.#queue = queue;
      this.#hearing.wake();
    }
    const patch = probePatch(probe, (item) => isOurs(item, this.#options.fleetId));
    await this.#store({ ...patch, ...this.#breakerPatch() });
    const { events } = this.#options;
    const comeback = queue ? await this.#signs.comeback(cameBack) : null;
    if (comeback) events.onComeback(this.id, comeback);
    if (queue) this.#guard.answered(comeback !== null && comeback !== 'same');
    if (queue) events.onQueue(this.id, queue);
    this.#news.probed();
  }

  #heard(message: ComfyMessage, clientId: string): void {
    this.#signs.heard(message);
    this.#options.events.onMessage(this.id, message, clientId);
  }

  #breakerChanged(): void {
    void this.#store(this.#breakerPatch());
    this.#news.changed();
  }

  /** Never rejects: a store that takes nothing for a while keeps news of the instance from nobody here. */
  async #store(patch: HealthPatch): Promise<void> {
    // whoever leads now says how it is
    if (!this.#options.mayAct()) return;
    try {
      await this.#row.save(patch);
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'the state of an instance could not be stored');
    }
  }

  #breakerPatch(): Pick<Instance, 'breaker' | 'lastError'> {
    const { state, remark } = this.#guard;
    const reasons = [remark, this.#prober.record.lastError].filter((reason) => reason !== null);
    return { breaker: state, lastError: reasons.length > 0 ? reasons.join('; ') : null };
  }

  /** Prompts of this fleet in its queue, as last read. */
  #ours(): Queue['running'] {
    const all = [...this.#queue.running, ...this.#queue.pending];
    return all.filter((item) => isOurs(item, this.#options.fleetId));
  }
}
