/**
 * The breaker of one instance with its effects: hears what is experienced, waits out its time, sends a canary whenever
 * one is due and the instance answers, and says what it decided.
 */
import type { ComfyHttp } from '../comfyui/http.ts';
import type { BreakerState } from '../domain/instance.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Service } from '../lib/service.ts';
import {
  type BreakerEvent,
  type BreakerRecord,
  type BreakerTuning,
  type Experience,
  initialBreaker,
  isOnTrial,
  isTested,
  nextBreaker,
  remarkOn,
} from './breaker.ts';
import { type CanaryOutcome, runCanary } from './canary.ts';
import { canaryGraph } from './canary-graph.ts';
import type { Standing } from './ejections.ts';
import { canaryTag } from './ownership.ts';
import type { Source } from './panic.ts';

export interface GuardOptions {
  /** As the row says it. */
  readonly stored: BreakerState;
  readonly fleetId: string;
  readonly http: ComfyHttp;
  readonly clock: Clock;
  readonly random: () => number;
  readonly ids: () => string;
  readonly logger: Logger;
  readonly breaker: BreakerTuning;
  readonly canaryTimeoutMs: number;
  /** It answered when it was last asked. */
  readonly answering: () => boolean;
  /** This process leads. */
  readonly mayAct: () => boolean;
  /** Null until its lists are read. */
  readonly nodeTypes: () => readonly string[] | null;
  /** The fleet can spare it; asked only when it is about to be put aside for what jobs say of it. */
  readonly spare: (source: Source) => boolean;
  /** What it says of itself here is something else now. */
  readonly onChange: () => void;
}

/** Canaries in a row that came to nothing although the instance answers: that is an answer too. */
const UNDECIDED_LIMIT = 3;

export class Guard implements Service {
  readonly #options: GuardOptions;
  #record: BreakerRecord;
  #timer: Timer | undefined;
  #running = false;
  #canary: { readonly promptId: string; readonly abort: AbortController; done: Promise<void> } | undefined;
  #undecided = 0;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#record = initialBreaker(options.stored, options.clock.monotonic());
  }

  get state(): BreakerState {
    return this.#record.state;
  }

  /** What speaks against it, one line; null when nothing does. */
  get remark(): string | null {
    return remarkOn(this.#record);
  }

  /** It was put aside until lately: it is used with care until some jobs have succeeded, or for a while. */
  get isOnTrial(): boolean {
    return isOnTrial(this.#record, this.#options.clock.monotonic());
  }

  /** How it counts when others are to be put aside. */
  get use(): Pick<Standing, 'use' | 'since'> {
    const { state, soft, since } = this.#record;
    return { use: state === 'CLOSED' ? 'used' : soft ? 'softly aside' : 'aside', since };
  }

  /** The prompt of the canary under way; null when there is none. */
  get canaryId(): string | null {
    return this.#canary?.promptId ?? null;
  }

  experienced(experience: Experience, source: Source): void {
    this.#take(experience, () => this.#options.spare(source));
  }

  /** The fleet cannot do without it any more, if it is only jobs that speak against it. */
  needed(): void {
    this.#take({ kind: 'needed' });
  }

  /** It answered a probe. `isAnother`: it may be another process by now. */
  answered(isAnother: boolean): void {
    if (isAnother) {
      this.#undecided = 0;
      this.#canary?.abort.abort();
      this.#take({ kind: 'comeback' });
    }
    this.#tryCanary();
  }

  async start(): Promise<void> {
    this.#running = true;
  }

  /** A canary under way is left to the next start, which sweeps it. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
    this.#canary?.abort.abort();
    await this.#canary?.done;
  }

  /** Nothing but an experience asks whether the fleet can spare it. */
  #take(event: BreakerEvent, spare = (): boolean => false): void {
    const { clock, random, breaker, logger, onChange } = this.#options;
    const before = this.#record;
    const after = nextBreaker(before, event, { now: clock.monotonic(), spare, random }, breaker);
    this.#record = after;
    if (!isNews(before, after)) return;
    const reason = after.reason ?? after.doubt;
    logger.info({ from: before.state, to: after.state, reason }, 'the breaker changed');
    this.#waitOut();
    onChange();
    this.#tryCanary();
  }

  #waitOut(): void {
    const { clock } = this.#options;
    this.#timer?.cancel();
    const until = this.#record.openUntil;
    if (until === null || !this.#running) return;
    this.#timer = clock.after(Math.ceil(until - clock.monotonic()), () => {
      this.#take({ kind: 'time' });
      // a timer may fire a little early
      if (this.#record.openUntil !== null) this.#waitOut();
    });
  }

  #tryCanary(): void {
    const { answering, mayAct, ids } = this.#options;
    if (!this.#running || this.#canary || !isTested(this.#record)) return;
    if (!answering() || !mayAct()) return;
    const canary = { promptId: ids(), abort: new AbortController(), done: Promise.resolve() };
    this.#canary = canary;
    canary.done = this.#send(canary.promptId, canary.abort.signal)
      .catch((error: unknown) => {
        this.#options.logger.error({ err: error }, 'a canary failed for a reason of our own');
        return { kind: 'undecided' } as const;
      })
      .then((outcome) => {
        this.#canary = undefined;
        if (canary.abort.signal.aborted) this.#tryCanary();
        else this.#judge(outcome);
      });
  }

  #send(promptId: string, signal: AbortSignal): Promise<CanaryOutcome> {
    const { ids, fleetId, random, nodeTypes, canaryTimeoutMs } = this.#options;
    const graph = canaryGraph(nodeTypes(), random);
    const tag = canaryTag(fleetId);
    const canary = { promptId, clientId: ids(), graph, tag, timeoutMs: canaryTimeoutMs };
    return runCanary({ ...this.#options, signal }, canary);
  }

  #judge(outcome: CanaryOutcome): void {
    this.#options.logger.info({ outcome: outcome.kind }, 'a canary ended');
    this.#undecided = outcome.kind === 'undecided' && this.#options.answering() ? this.#undecided + 1 : 0;
    if (outcome.kind === 'passed') this.#take({ kind: 'canary-passed' });
    else if (outcome.kind === 'failed') this.#take({ kind: 'canary-failed', reason: outcome.reason });
    // one that still gets jobs may well be given long ones
    else if (outcome.kind === 'no-turn' && this.state !== 'CLOSED')
      this.#take({ kind: 'canary-failed', reason: 'nothing moves before the canary' });
    else if (this.#undecided >= UNDECIDED_LIMIT) {
      this.#undecided = 0;
      this.#take({ kind: 'canary-failed', reason: 'canaries come to nothing' });
    }
    // else the next answer of the instance brings the next canary
  }
}

function isNews(before: BreakerRecord, after: BreakerRecord): boolean {
  return (
    after.state !== before.state ||
    after.reason !== before.reason ||
    after.doubt !== before.doubt ||
    after.trial > 0 !== before.trial > 0
  );
}
