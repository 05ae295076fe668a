/**
 * One open attempt in this process: what is known of it, what interrupts it, and the news it gets from its instance's
 * socket. The pipeline (attempt.ts) works on it step by step; nobody else changes it.
 */

import type { Tracer } from '@opentelemetry/api';
import type { HistoryEntry } from '../../comfyui/history.ts';
import type { ComfyMessage } from '../../comfyui/messages.ts';
import type { Config } from '../../config.ts';
import { type CrashHook, neverCrash } from '../../domain/crash-points.ts';
import type { Graph } from '../../domain/graph.ts';
import type { Attempt, Job, Progress } from '../../domain/job.ts';
import type { ClientIdTicket } from '../../fleet/hearing.ts';
import type { Member } from '../../fleet/member.ts';
import type { Recorder } from '../../jobs/recorder.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { BlobStore } from '../../storage/blob-store.ts';
import type { Store } from '../../store/open.ts';
import type { RunBus } from '../fenced-bus.ts';
import { type Expectation, isOverdue, remainingOfJob, restOfRun } from '../forecast/expectation.ts';
import type { Learning } from '../forecast/learning.ts';
import type { StorageWatch } from '../storage-watch.ts';
import type { InputFiles } from '../transfers/input-files.ts';
import { type KnownOutput, OutputCollector, type OutputConfig } from '../transfers/outputs.ts';
import type { TransferGate } from '../transfers/transfer-gate.ts';
import { Alarm } from './alarm.ts';
import { LiveFeed } from './live-feed.ts';
import type { NodeFailure } from './run-faults.ts';
import { RunStory } from './run-story.ts';
import { RunTime } from './run-time.ts';
import { type RunTrace, traceRun } from './run-trace.ts';
import { type RunNews, type RunView, startView, translate } from './translate.ts';
import type { Reached } from './verdict.ts';

export interface RunParts {
  readonly store: Pick<Store, 'db'>;
  readonly bus: RunBus;
  readonly recorder: Recorder;
  readonly storage: BlobStore;
  readonly inputFiles: InputFiles;
  readonly storageWatch: Pick<StorageWatch, 'failed'>;
  readonly transfers: TransferGate;
  readonly learning: Pick<Learning, 'begins' | 'didNotBegin' | 'succeeded' | 'freed'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fleetId: string;
  readonly config: RunConfig;
  /** Prompts of other runs are in the instance's queue. */
  readonly isBusy: (instanceId: string) => boolean;
  readonly tracer?: Tracer | null | undefined;
  readonly crashAt?: CrashHook | undefined;
}

export type RunConfig = Pick<
  Config,
  | 'silenceMs'
  | 'reconcileIntervalMs'
  | 'submitGraceMs'
  | 'refusedLostMs'
  | 'unreachableLostMs'
  | 'stalledStartMs'
  | 'maxCrashes'
  | 'probeTimeoutMs'
> &
  OutputConfig;

export interface RunSubject {
  readonly job: Job;
  readonly attempt: Attempt;
  /** As stored, files by reference. */
  readonly graph: Graph;
  readonly member: Member;
  readonly term: number;
  /** An earlier process began it: its prompt may be posted already. */
  readonly adopted: boolean;
  readonly knownOutputs: readonly KnownOutput[];
}

/** What is known of the POST. `answered`: badly, but it is not on its way any more. */
export type Posted = 'no' | 'unanswered' | 'answered' | 'accepted';

/** `removed`: its instance left the fleet. */
export type Interruption = 'cancel' | 'timeout' | 'removed' | 'stop';

/** What a timer can hold: 24 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class ActiveRun {
  readonly parts: RunParts;
  readonly subject: RunSubject;
  readonly expectation: Expectation;
  readonly logger: Logger;
  readonly trace: RunTrace;
  readonly crashAt: CrashHook;
  readonly alarm: Alarm;
  readonly feed: LiveFeed;
  readonly outputs: OutputCollector;
  posted: Posted;
  /** Monotonic ms; of an adopted run, when its attempt was written. */
  postedAt: number;
  /** The instance said that it took the prompt, and all of it. */
  takenWhole = false;
  /** The client id its messages go to; null when not known. */
  clientId: string | null = null;
  /** Something happened that a look should follow. */
  lookSoon: boolean;
  /** The instance went away since the last look. */
  wasGone = false;
  lastHeardAt: number;
  /** When its socket said that the run is over; history follows. */
  overAt: number | null = null;
  /** History can be read. */
  ended = false;
  blocked: NodeFailure | null = null;
  /** Its prompt is not wanted and does not go: the instance gets no other job until it does. */
  isStuck = false;
  /** Since when the instance is asked to let its prompt go, monotonic ms. */
  unwantedSince: number | null = null;
  /** Gives the client id back. */
  releaseClientId: () => void = () => undefined;
  #view: RunView;
  #seq: number;
  readonly #time = new RunTime();
  readonly #story = new RunStory();
  readonly #interrupt = new AbortController();
  readonly #stop = new AbortController();
  readonly #left = new AbortController();
  /** Aborted when nothing more is done on the instance: the process stops, or the instance left the fleet. */
  readonly partingSignal = AbortSignal.any([this.#stop.signal, this.#left.signal]);
  readonly #deadline: Timer;

  constructor(parts: RunParts, subject: RunSubject) {
    const { clock, bus } = parts;
    const { job, attempt, adopted } = subject;
    this.parts = parts;
    this.subject = subject;
    this.expectation = parts.learning.begins({ ...job, instanceId: attempt.instanceId });
    this.trace = traceRun(parts.tracer, clock, subject);
    this.logger = parts.logger.child({
      job: job.id,
      attempt: attempt.id,
      instance: attempt.instanceId,
      ...(this.trace.traceId !== null && { traceId: this.trace.traceId }),
    });
    this.crashAt = parts.crashAt ?? neverCrash;
    this.alarm = new Alarm(clock);
    const age = adopted ? Math.max(0, clock.now() - attempt.startedAt) : 0;
    this.posted = !adopted ? 'no' : attempt.state === 'SUBMITTING' ? 'unanswered' : 'accepted';
    this.postedAt = clock.monotonic() - age;
    this.lookSoon = adopted;
    this.lastHeardAt = clock.monotonic();
    this.#view = startView(subject.graph);
    this.#seq = job.seq;
    this.feed = new LiveFeed(bus, clock, {
      jobId: job.id,
      tenant: job.tenant,
      createdAt: job.createdAt,
      seq: () => this.#seq,
    });
    this.outputs = new OutputCollector(
      {
        ...parts,
        http: subject.member.http,
        logger: this.logger,
      },
      {
        attemptId: attempt.id,
        instanceId: attempt.instanceId,
        tenant: job.tenant,
        term: subject.term,
        known: subject.knownOutputs,
        onOutput: () => this.#seq++,
      },
      this.#interrupt.signal,
    );
    const left = attempt.deadlineAt - clock.now();
    this.#deadline = clock.after(Math.min(LONGEST_TIMER_MS, Math.max(0, left)), () =>
      this.interrupt('timeout'),
    );
  }

  get promptId(): string {
    return this.subject.attempt.id;
  }

  /** Aborted by the first interruption. */
  get signal(): AbortSignal {
    return this.#interrupt.signal;
  }

  /** Aborted when the process stops. */
  get stopSignal(): AbortSignal {
    return this.#stop.signal;
  }

  get interruption(): Interruption | null {
    return this.signal.aborted ? (this.signal.reason as Interruption) : null;
  }

  /** Ends the pipeline's present step; the first reason counts, but a stop also ends what another one began. */
  interrupt(reason: Interruption): void {
    this.#deadline.cancel();
    if (reason === 'cancel') this.feed.silence();
    if (reason === 'stop') this.#stop.abort();
    if (!this.signal.aborted) this.#interrupt.abort(reason);
  }

  /** Its instance left the fleet: nothing that it does there is waited for. */
  leave(): void {
    this.#left.abort();
    this.interrupt('removed');
  }

  /** The run is over by itself: it is too late for a timeout. */
  endDeadline(): void {
    this.#deadline.cancel();
  }

  /** Its messages arrive over an open socket. */
  hears(): boolean {
    return this.clientId !== null && this.subject.member.hears(this.clientId);
  }

  /** ComfyUI works on it now, so that what names no prompt is about this one. */
  get isRunning(): boolean {
    return this.#story.reached === 'running';
  }

  get reached(): Reached {
    return this.#story.reached;
  }

  /** Time left until it has run, in ms; null while nothing is known. */
  get restMs(): number | null {
    const { runMs } = this.expectation;
    return runMs === null ? null : restOfRun(runMs, this.#elapsedMs());
  }

  /** Time on the instance, in ms, as far as is known; null when it never ran there. */
  get ranMs(): number | null {
    return this.#time.ms;
  }

  /** It takes so much longer than expected that something may be wrong with it. */
  get isOverdue(): boolean {
    const { runMs } = this.expectation;
    return runMs !== null && isOverdue(runMs, this.#elapsedMs());
  }

  /** All of it was taken and succeeded, and each output was announced to us: history could add nothing. */
  get isFullyTold(): boolean {
    return this.takenWhole && this.#story.succeededInFull && this.blocked === null;
  }

  /** The prompt is about to be posted, with the client id of the ticket. */
  beginPost({ clientId, done }: ClientIdTicket): void {
    const { member } = this.subject;
    const busy = this.parts.isBusy(member.id) || member.state().instance.foreignPrompts > 0;
    this.#story.posted(busy, member.hears(clientId));
    this.clientId = clientId;
    this.releaseClientId = done;
    this.posted = 'unanswered';
    this.postedAt = this.parts.clock.monotonic();
    this.lastHeardAt = this.postedAt;
  }

  /** It was seen in the queue. */
  seenQueued(running: boolean, ahead: number): void {
    this.#story.queued(running, ahead);
    if (!running) return;
    this.#begun(this.#earliestBegin());
    this.#time.seen(this.parts.clock.monotonic());
  }

  /** What its instance has on record of its run. */
  historyRead(entry: HistoryEntry): void {
    const sincePost = Math.max(0, this.parts.clock.monotonic() - this.postedAt);
    this.#time.told(entry, Math.ceil(sincePost));
  }

  /** It is given up while nothing says that it has ended. */
  stillRuns(): void {
    if (this.hears()) this.#time.seen(this.parts.clock.monotonic());
  }

  /** One message about this prompt. */
  receive(message: ComfyMessage): void {
    this.lastHeardAt = this.parts.clock.monotonic();
    const pictures = { previewsHaveMetadata: this.subject.member.previewsHaveMetadata };
    const { view, news } = translate(this.#view, message, this.lastHeardAt, pictures);
    this.#view = view;
    for (const piece of news) this.#hear(piece);
    this.#time.seen(this.lastHeardAt);
  }

  /** The socket opened or closed. */
  socketChanged(gone: boolean): void {
    this.#story.interrupted();
    if (gone) this.wasGone = true;
    this.lookSoon = true;
    this.alarm.ring();
  }

  #hear(news: RunNews): void {
    switch (news.type) {
      case 'live':
        if (news.event.type === 'node' || news.event.type === 'progress') this.#begun(this.#earliestBegin());
        this.feed.event(
          news.event.type === 'progress' ? this.#withRemaining(news.event.progress) : news.event,
        );
        return;
      case 'picture':
        this.feed.picture(news.mimeType, news.image);
        return;
      case 'result':
        this.outputs.takePicture(news.node, news.mimeType, news.image);
        return;
      case 'output':
        this.outputs.take(news.node, news.shown, news.output);
        return;
      case 'begun':
        this.#begun(this.lastHeardAt);
        return;
      case 'over':
        this.#story.over(news.succeeded);
        this.overAt ??= this.parts.clock.monotonic();
        this.alarm.ring();
        return;
      case 'ended':
        this.ended = true;
        this.#story.ended();
        this.lookSoon = true;
        this.alarm.ring();
        return;
      case 'blocked':
        this.blocked = news.failure;
        return;
    }
  }

  #begun(at: number): void {
    this.#story.begun();
    this.trace.begun();
    this.#time.begun(at);
  }

  /** Of a run whose begin was not heard: an adopted one may run since it was posted. */
  #earliestBegin(): number {
    const { clock } = this.parts;
    const { adopted, attempt } = this.subject;
    if (!adopted) return clock.monotonic();
    return clock.monotonic() - Math.max(0, clock.now() - (attempt.runningAt ?? attempt.startedAt));
  }

  #elapsedMs(): number {
    if (this.#story.reached === 'waiting') return 0;
    return Math.max(0, this.parts.clock.monotonic() - (this.#time.begunAt ?? this.postedAt));
  }

  /** A node tells of its own steps only. */
  #withRemaining(progress: Progress): { readonly type: 'progress'; readonly progress: Progress } {
    const { step, totalSteps, remainingMs } = progress;
    const steps =
      remainingMs === null || !step || !totalSteps
        ? null
        : { share: Math.min(1, step / totalSteps), remainingMs };
    const left = remainingOfJob(this.expectation.runMs, this.#elapsedMs(), steps);
    return { type: 'progress', progress: { ...progress, remainingMs: left } };
  }
}
