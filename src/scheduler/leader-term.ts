/**
 * One term of leadership, from taking over what is open to letting everything go: the fleet's sockets and probes, the runs
 * of this process, the queue in memory, the listeners. Nothing of it outlives the term; the next one starts from the rows.
 */
import type { Recorder } from '../jobs/recorder.ts';
import { claimOpenAttempts } from '../store/attempts.ts';
import { type Adopted, adoptThese } from './adopt.ts';
import { Background } from './background.ts';
import { Dispatcher } from './dispatcher.ts';
import { fencedBus, type RunBus } from './fenced-bus.ts';
import { fencedRecorder } from './fenced-recorder.ts';
import { fleetNews } from './fleet-news.ts';
import { Learning } from './forecast/learning.ts';
import { Surveyor, type SurveyParts } from './forecast/survey.ts';
import { listenForHints } from './hints.ts';
import { Leavings } from './leavings.ts';
import { QueueNews } from './queue-news.ts';
import { Removals } from './removals.ts';
import { RowsCheck } from './rows-check.ts';
import { ActiveRun } from './runs/active-run.ts';
import { carryOut } from './runs/carry-out.ts';
import { Runs } from './runs/runs.ts';
import type { SchedulerOptions } from './scheduler-options.ts';
import { StorageWatch } from './storage-watch.ts';
import { Sweeper } from './sweeper.ts';
import { InputFiles } from './transfers/input-files.ts';
import { TRANSFERS_PER_INSTANCE, TransferGate } from './transfers/transfer-gate.ts';
import { WaitingLine } from './waiting-line.ts';
import { Wishes } from './wishes.ts';

export interface TermParts extends SchedulerOptions {
  /** No other process can lead now. */
  readonly isTrusted: () => boolean;
  /** Attempts may be started. */
  readonly mayStart: () => boolean;
  /** Asks for a step soon. */
  readonly wake: () => void;
}

export class LeaderTerm {
  readonly #parts: TermParts;
  readonly #term: number;
  readonly #recorder: Recorder;
  /** What a run says of itself is not heard once the term may be over: a successor follows it by then. */
  readonly #runBus: RunBus;
  readonly #line: WaitingLine;
  readonly #learning: Learning;
  readonly #surveyor: Surveyor;
  readonly #transfers: TransferGate;
  readonly #inputFiles: InputFiles;
  readonly #storageWatch: StorageWatch;
  readonly #dispatcher: Dispatcher;
  readonly #leavings: Leavings;
  readonly #rows: RowsCheck;
  readonly #runs = new Runs();
  readonly #background: Background;
  readonly #sweeper: Sweeper;
  readonly #wishes: Wishes;
  readonly #ended = new AbortController();
  #unlisten: (() => void)[] = [];

  private constructor(parts: TermParts, term: number) {
    const { store, bus, config, recorder, logger } = parts;
    const { signal } = this.#ended;
    this.#parts = parts;
    this.#term = term;
    this.#background = new Background(logger);
    this.#recorder = fencedRecorder(recorder, (of) => of === term && this.#goesOn());
    this.#runBus = fencedBus(bus, () => this.#goesOn());
    this.#line = new WaitingLine(store.db);
    const news = new QueueNews(store.db, bus);
    this.#learning = new Learning({
      db: store.db,
      needsOf: (key) => this.#line.needs.get(key),
      onLoaded: (id, models) => parts.fleet.member(id)?.noteLoaded(models),
    });
    this.#transfers = new TransferGate({ perInstance: TRANSFERS_PER_INSTANCE, overall: config.maxTransfers });
    this.#inputFiles = new InputFiles({ ...parts, transfers: this.#transfers });
    this.#storageWatch = new StorageWatch({
      ...parts,
      background: this.#background,
      signal,
    });
    const shared = {
      ...parts,
      recorder: this.#recorder,
      runs: this.#runs,
      learning: this.#learning,
      storageWatch: this.#storageWatch,
    };
    const begin = (adopted: Adopted): void => this.#begin(adopted);
    this.#dispatcher = new Dispatcher({ ...shared, line: this.#line, news, begin }, term);
    this.#leavings = new Leavings({
      ...shared,
      line: this.#line,
      dispatcher: this.#dispatcher,
      onChange: () => this.#surveyor.changed(),
    });
    this.#surveyor = new Surveyor({
      ...parts,
      bus: this.#runBus,
      queue: this.#line.queue,
      look: () => this.#look(),
    });
    const onRows = { ...shared, db: store.db, signal, isActive: (id: string) => this.#runs.has(id) };
    this.#rows = new RowsCheck(
      {
        ...onRows,
        everyMs: config.reconcileIntervalMs,
        notWanted: (jobId) => this.#notWanted(jobId),
        resume: begin,
      },
      term,
    );
    this.#sweeper = new Sweeper(onRows, this.#background);
    const onLeft = (id: string): void => {
      this.#inputFiles.forget(id);
      this.#learning.left(id);
    };
    const removals = new Removals({ ...onRows, onLeft }, term);
    const onFreed = (id: string): void => this.#learning.freed(id);
    this.#wishes = new Wishes({ ...onRows, background: this.#background, removals, onFreed }, term);
  }

  /** Claims what is open first, so that nothing an earlier leader still writes takes effect. */
  static async begin(parts: TermParts, term: number): Promise<LeaderTerm> {
    const begun = new LeaderTerm(parts, term);
    try {
      await begun.#takeOver();
    } catch (error) {
      await begun.end();
      throw error;
    }
    return begun;
  }

  async step(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const goOn = (): boolean => !signal.aborted && this.#goesOn();
    await this.#wishes.carryOut(goOn);
    if (goOn()) await this.#line.refresh(clock.now(), clock.monotonic());
    if (goOn()) await this.#rows.checkInTime();
    if (goOn()) await this.#leavings.expireOverdue(goOn);
    const mayStart = (): boolean => goOn() && this.#parts.mayStart();
    if (mayStart()) await this.#dispatcher.dispatch(mayStart);
  }

  /** How long nothing becomes due, in ms; null when nothing is known to. */
  nextChangeInMs(): number | null {
    const { clock } = this.#parts;
    const due = this.#line.queue.nextChangeAt();
    const rested = this.#dispatcher.nextChangeAt();
    const waits = [
      ...(due === null ? [] : [due - clock.now()]),
      ...(rested === null ? [] : [rested - clock.monotonic()]),
    ];
    return waits.length === 0 ? null : Math.min(...waits);
  }

  /** Begins nothing more, at once; `end` follows. What runs on instances goes on there. */
  abandon(): void {
    for (const unlisten of this.#unlisten.splice(0)) unlisten();
    this.#ended.abort();
    for (const run of this.#runs.all()) run.interrupt('stop');
  }

  /** Resolves once nothing of it is left; whoever leads next adopts what runs. */
  async end(): Promise<void> {
    const { clock, config, fleet } = this.#parts;
    this.abandon();
    await this.#surveyor.stop();
    await this.#background.settled(clock, config.shutdownGraceMs / 4);
    // the successor takes the client ids over, so their sockets must be closed before it may
    await fleet.stop();
  }

  #goesOn(): boolean {
    return !this.#ended.signal.aborted && this.#parts.isTrusted();
  }

  async #takeOver(): Promise<void> {
    const { bus, fleet, store, wake, crashAt } = this.#parts;
    const open = await claimOpenAttempts(store.db, this.#term);
    crashAt?.('adopt:claimed');
    // hints first, rows second: what is queued in between is seen twice rather than never
    const hints = await listenForHints(bus, {
      queued: (jobId) => {
        this.#line.note(jobId);
        this.#surveyor.changed();
      },
      notWanted: (jobId) => this.#notWanted(jobId),
      lost: () => {
        this.#line.distrust();
        this.#rows.distrust();
        this.#wishes.distrust();
      },
      wished: () => this.#wishes.distrust(),
      wake,
    });
    this.#background.own(hints.done, 'hints');
    this.#unlisten = [() => hints.close()];
    // before the first probes, which write the rows anew
    await this.#learning.recall();
    await fleet.start();
    const news = fleetNews({
      ...this.#parts,
      runs: this.#runs,
      learning: this.#learning,
      inputFiles: this.#inputFiles,
      sweeper: this.#sweeper,
      goesOn: () => this.#goesOn(),
    });
    this.#unlisten.push(fleet.listen(news));
    const parts = { ...this.#parts, db: store.db, recorder: this.#recorder };
    const adopted = await adoptThese(parts, this.#term, open);
    await this.#learning.know(adopted.map((one) => one.subject.job.needsKey));
    for (const one of adopted) this.#begin(one);
    await this.#dispatcher.recall();
    await this.#surveyor.start();
  }

  #begin({ subject, canceled }: Adopted): void {
    const { bus, clock, config, random, fleet, wake } = this.#parts;
    const run = new ActiveRun(
      {
        ...this.#parts,
        bus: this.#runBus,
        recorder: this.#recorder,
        inputFiles: this.#inputFiles,
        storageWatch: this.#storageWatch,
        transfers: this.#transfers,
        learning: this.#learning,
        fleetId: fleet.id,
        isBusy: (instanceId) => this.#runs.isBusy(instanceId),
      },
      subject,
    );
    this.#runs.add(run);
    this.#surveyor.changed();
    // it was given its place while its instance left the fleet
    if (fleet.member(subject.member.id) !== subject.member) run.leave();
    const bounds = { baseMs: config.retryBaseMs, capMs: config.retryCapMs };
    const announce = (): void =>
      bus.publish({ kind: 'instance', instanceId: subject.member.id, at: clock.now() });
    announce();
    this.#background.own(
      carryOut(run, { bounds, random }).finally(() => {
        this.#runs.remove(run);
        this.#surveyor.changed();
        announce();
        wake();
      }),
      'attempt',
    );
    if (canceled) run.interrupt('cancel');
  }

  /** How things stand, for the survey. */
  #look(): ReturnType<SurveyParts['look']> {
    const now = this.#parts.clock.now();
    const { usualMs } = this.#learning;
    const running = this.#runs.all().map(({ subject, restMs }) => {
      return { tenant: subject.job.tenant, endsAt: restMs === null ? null : now + restMs };
    });
    return { ...this.#dispatcher.state(now), usualMs, running };
  }

  #notWanted(jobId: string): void {
    this.#leavings.notWanted(jobId);
    for (const run of this.#runs.ofJob(jobId)) run.interrupt('cancel');
  }
}
