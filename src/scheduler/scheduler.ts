/**
 * The leader of a fleet: finds out what waits, plans, starts attempts and follows each to its end. A loop that any news
 * wakes; what news might be lost is found in the rows. Nothing an instance or a job does ends it.
 *
 *   stopped ── start: take a term, adopt what is open ──▶ leading ── stop: leave everything as it is ──▶ stopped
 */
import type { Config } from '../config.ts';
import type { CrashHook } from '../domain/crash-points.ts';
import type { EventBus } from '../events/bus.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Recorder } from '../jobs/recorder.ts';
import { assert } from '../lib/assert.ts';
import { type Clock, pause } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Loop } from '../lib/loop.ts';
import type { Service } from '../lib/service.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import { openAttempts } from '../store/attempts.ts';
import type { Store } from '../store/open.ts';
import { ActiveRun, type RunConfig, type RunSubject } from './active-run.ts';
import { type Adopted, type AdoptParts, adoptOpenAttempts, adoptThese } from './adopt.ts';
import { carryOut } from './carry-out.ts';
import { Comebacks } from './comebacks.ts';
import { EVEN_SHARES, type Shares } from './fair-share.ts';
import { listenForHints } from './hints.ts';
import { InputFiles } from './input-files.ts';
import { Leadership } from './leadership.ts';
import { placeJob } from './place-job.ts';
import { type Assignment, plan } from './planner.ts';
import { QueueNews } from './queue-news.ts';
import { DispatchCount } from './retry-budget.ts';
import { Runs } from './runs.ts';
import { snapshotOf } from './snapshot.ts';
import { sweep } from './sweeper.ts';
import { TRANSFERS_PER_INSTANCE, TransferGate } from './transfer-gate.ts';
import { WaitingLine } from './waiting-line.ts';

export interface SchedulerOptions {
  readonly store: Store;
  readonly bus: EventBus;
  readonly recorder: Recorder;
  readonly fleet: Fleet;
  readonly storage: BlobStore;
  readonly clock: Clock;
  /** Makes canonical lowercase UUIDs: attempt ids become ComfyUI's prompt ids. */
  readonly ids: () => string;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly config: RunConfig &
    Pick<
      Config,
      | 'maxConcurrentJobs'
      | 'maxTransfers'
      | 'retryBudgetPercent'
      | 'retryBaseMs'
      | 'retryCapMs'
      | 'shutdownGraceMs'
    >;
  readonly logger: Logger;
  readonly crashAt?: CrashHook | undefined;
}

export interface Scheduler extends Service {
  /** It leads and its loop turns. */
  healthy(): boolean;
}

export function createScheduler(options: SchedulerOptions): Scheduler {
  return new FleetScheduler(options);
}

/** Longest pause of the loop: what no news announced is seen this late at most. */
const LONGEST_PAUSE_MS = 1000;
const UNHEALTHY_AFTER_MS = 30_000;

class FleetScheduler implements Scheduler {
  readonly #options: SchedulerOptions;
  readonly #loop: Loop;
  readonly #leadership: Leadership;
  readonly #line: WaitingLine;
  readonly #news: QueueNews;
  readonly #inputFiles: InputFiles;
  readonly #transfers: TransferGate;
  readonly #runs = new Runs();
  /** Everything that goes on in the background, so that stop can wait for it. */
  readonly #tasks = new Set<Promise<void>>();
  readonly #sweeping = new Set<string>();
  /** Jobs that are being given a place, and whether they were canceled meanwhile: no run stands for them yet. */
  readonly #placing = new Map<string, 'wanted' | 'not wanted'>();
  #stopping = new AbortController();
  #unlisten: (() => void)[] = [];
  /** Open attempts that nobody followed when the rows were last checked. */
  #orphans: ReadonlySet<string> = new Set();
  #cursor = 0;
  #shares: Shares = EVEN_SHARES;
  readonly #dispatches = new DispatchCount();
  readonly #comebacks: Comebacks;
  #stepAt = Number.NEGATIVE_INFINITY;
  #rowsAt = Number.NEGATIVE_INFINITY;

  constructor(options: SchedulerOptions) {
    const { store, bus, clock, storage, ids, logger } = options;
    this.#options = options;
    this.#comebacks = new Comebacks(options.random);
    this.#line = new WaitingLine(store.db);
    this.#news = new QueueNews(store.db, bus, this.#line.queue);
    const { maxTransfers } = options.config;
    this.#transfers = new TransferGate({ perInstance: TRANSFERS_PER_INSTANCE, overall: maxTransfers });
    this.#inputFiles = new InputFiles(storage, this.#transfers);
    this.#leadership = new Leadership({ db: store.db, clock, holder: ids(), logger });
    this.#loop = new Loop({
      name: 'scheduler',
      intervalMs: () => this.#pauseMs(),
      step: (signal) => this.#step(signal),
      clock,
      logger,
    });
  }

  healthy(): boolean {
    const since = this.#options.clock.monotonic() - this.#stepAt;
    return this.#leadership.trusted() && since < UNHEALTHY_AFTER_MS;
  }

  async start(): Promise<void> {
    if (this.#leadership.trusted()) return;
    const { fleet } = this.#options;
    assert(fleet.id !== '', 'the fleet is started before the scheduler');
    this.#stopping = new AbortController();
    const term = await this.#leadership.take();
    if (term === null) throw new Error('another process leads this fleet');
    // hints first, rows second: what is queued in between is seen twice rather than never
    const hints = await listenForHints(this.#options.bus, {
      queued: (jobId) => this.#line.note(jobId),
      notWanted: (jobId) => this.#notWanted(jobId),
      lost: () => {
        this.#line.distrust();
        this.#rowsAt = Number.NEGATIVE_INFINITY;
      },
      wake: () => this.#loop.wake(),
    });
    this.#own(hints.done, 'hints');
    this.#unlisten = [() => hints.close(), fleet.listen(this.#fleetListener())];
    for (const one of await adoptOpenAttempts(this.#adoptParts(), term)) this.#resume(one);
    this.#stepAt = this.#options.clock.monotonic();
    await this.#loop.start();
  }

  /** What runs on instances goes on there; the next start adopts it. */
  async stop(): Promise<void> {
    await this.#loop.stop();
    this.#options.crashAt?.('stop:begun');
    for (const unlisten of this.#unlisten.splice(0)) unlisten();
    this.#stopping.abort();
    for (const run of this.#runs.all()) run.interrupt('stop');
    const { clock, config, logger } = this.#options;
    const grace = new AbortController();
    const inTime = Promise.all(this.#tasks).then(() => grace.abort());
    if (await pause(clock, config.shutdownGraceMs / 4, grace.signal)) {
      logger.warn({ tasks: this.#tasks.size }, 'background work did not end in time');
    } else await inTime;
    this.#options.crashAt?.('stop:let-go');
    await this.#leadership.release();
  }

  #pauseMs(): number {
    const change = this.#line.queue.nextChangeAt();
    const untilChange = change === null ? LONGEST_PAUSE_MS : change - this.#options.clock.now();
    return Math.max(1, Math.min(LONGEST_PAUSE_MS, untilChange));
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    if (!(await this.#leadership.keep())) return;
    await this.#line.refresh(clock.now(), clock.monotonic());
    await this.#checkRows();
    await this.#expireOverdue();
    if (signal.aborted) return;
    const now = clock.now();
    const candidates = snapshotOf(this.#options.fleet, this.#runs, this.#comebacks, clock.monotonic());
    const { queue: pending, needs } = this.#line;
    const { maxConcurrentJobs, retryBudgetPercent } = this.#options.config;
    const recent = this.#dispatches.recent(clock.monotonic());
    const turn = { cursor: this.#cursor, shares: this.#shares };
    const state = { pending, needs, candidates, maxConcurrentJobs, retryBudgetPercent, recent, ...turn };
    const { assignments, blocked, cursor, shares } = plan(state, now);
    this.#cursor = cursor;
    this.#shares = shares;
    for (const assignment of assignments) {
      if (signal.aborted) return;
      await this.#place(assignment);
    }
    await this.#news.reasons(blocked, now);
    this.#news.places(now, clock.monotonic());
    this.#stepAt = clock.monotonic();
  }

  async #place(assignment: Assignment): Promise<void> {
    const job = this.#line.queue.get(assignment.jobId);
    const member = this.#options.fleet.member(assignment.instanceId);
    if (!job || !member) return;
    this.#line.queue.remove(job.id);
    this.#news.placesMoved();
    this.#placing.set(job.id, 'wanted');
    const { term } = this.#leadership;
    try {
      if (term === null) return;
      const placement = { job, member, slot: assignment.slot };
      const subject = await placeJob(this.#options, placement, term);
      const canceled = this.#placing.get(job.id) === 'not wanted';
      if (subject) {
        this.#dispatches.add(this.#options.clock.monotonic(), assignment.isRetry);
        this.#resume({ subject, canceled });
      }
      // canceled before, or the place is still taken: its row tells
      else this.#line.note(job.id);
    } finally {
      this.#placing.delete(job.id);
    }
  }

  #begin(subject: RunSubject): ActiveRun {
    const { bus, clock, config, random, fleet } = this.#options;
    const isBusy = (instanceId: string): boolean => this.#runs.isBusy(instanceId);
    const parts = {
      ...this.#options,
      inputFiles: this.#inputFiles,
      transfers: this.#transfers,
      fleetId: fleet.id,
      isBusy,
    };
    const run = new ActiveRun(parts, subject);
    this.#runs.add(run);
    const bounds = { baseMs: config.retryBaseMs, capMs: config.retryCapMs };
    const announce = (): void =>
      bus.publish({ kind: 'instance', instanceId: subject.member.id, at: clock.now() });
    announce();
    this.#own(
      carryOut(run, { bounds, random }).finally(() => {
        this.#runs.remove(run);
        announce();
        this.#loop.wake();
      }),
      'attempt',
    );
    return run;
  }

  #notWanted(jobId: string): void {
    this.#line.queue.remove(jobId);
    this.#news.placesMoved();
    if (this.#placing.has(jobId)) this.#placing.set(jobId, 'not wanted');
    for (const run of this.#runs.ofJob(jobId)) run.interrupt('cancel');
  }

  /** A hint of a cancel may be lost, the row is not; and an open attempt that nobody follows is followed again. */
  async #checkRows(): Promise<void> {
    const { clock, config, store } = this.#options;
    if (clock.monotonic() - this.#rowsAt < config.reconcileIntervalMs) return;
    this.#rowsAt = clock.monotonic();
    const open = await openAttempts(store.db);
    for (const attempt of open) {
      if (attempt.jobStatus !== 'PROCESSING') this.#notWanted(attempt.jobId);
    }
    const { term } = this.#leadership;
    const orphans = open.filter((attempt) => attempt.term === term && !this.#runs.has(attempt.id));
    // seen twice: the first time its run may just have ended
    const sure = orphans.filter((attempt) => this.#orphans.has(attempt.id));
    this.#orphans = new Set(orphans.map((attempt) => attempt.id));
    for (const one of await adoptThese(this.#adoptParts(), term ?? 0, sure)) this.#resume(one);
  }

  #adoptParts(): AdoptParts {
    const { store, fleet, recorder, logger, crashAt } = this.#options;
    return { db: store.db, fleet, recorder, logger, crashAt };
  }

  #resume({ subject, canceled }: Adopted): void {
    const run = this.#begin(subject);
    if (canceled) run.interrupt('cancel');
  }

  async #expireOverdue(): Promise<void> {
    const { clock, recorder } = this.#options;
    for (const job of this.#line.queue.overdue(clock.now())) {
      const expired = await recorder.expire(job.id);
      if (expired) this.#line.queue.remove(job.id);
      else this.#line.note(job.id);
      this.#news.placesMoved();
    }
  }

  #fleetListener(): Parameters<Fleet['listen']>[0] {
    return {
      onChange: () => this.#loop.wake(),
      onMessage: (id, message) => this.#runs.route(id, message),
      onSocket: (id, change) => {
        for (const run of this.#runs.ofInstance(id)) run.socketChanged(change === 'gone');
      },
      onComeback: (id) => {
        this.#inputFiles.forget(id);
        for (const run of this.#runs.ofInstance(id)) run.socketChanged(true);
      },
      onQueue: (id, queue) => this.#sweep(id, queue),
    };
  }

  #sweep(id: string, queue: Parameters<typeof sweep>[2]): void {
    const { fleet, store, logger, crashAt } = this.#options;
    const member = fleet.member(id);
    if (!member || this.#sweeping.has(id)) return;
    this.#sweeping.add(id);
    const isActive = (promptId: string): boolean => this.#runs.has(promptId);
    const { signal } = this.#stopping;
    const parts = { db: store.db, fleetId: fleet.id, logger, isActive, signal, crashAt };
    this.#own(
      sweep(parts, member, queue).finally(() => this.#sweeping.delete(id)),
      'sweep',
    );
  }

  /** Every promise in the background is waited for and can fail only into the log. */
  #own(task: Promise<void>, what: string): void {
    const owned: Promise<void> = task
      .catch((error: unknown) =>
        this.#options.logger.error({ err: error, task: what }, 'background work failed'),
      )
      .finally(() => this.#tasks.delete(owned));
    this.#tasks.add(owned);
  }
}
