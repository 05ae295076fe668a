/**
 * Keeps the picture of the queue on the bus up to date while somebody waits: walks the order, forecasts when each job starts,
 * and publishes both. After a change the front is looked at, at most once a second; the whole line the more seldom the longer
 * it is. The work is cut into slices, so that nothing else waits for it.
 */
import type { Survey } from '../../domain/survey.ts';
import type { EventBus } from '../../events/bus.ts';
import { Throttle } from '../../events/throttle.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import { Loop } from '../../lib/loop.ts';
import type { Service } from '../../lib/service.ts';
import { type OrderRules, OrderWalk } from '../planning/order-walk.ts';
import type { PendingQueue, Turn } from '../planning/pending-queue.ts';
import type { Stream } from '../planning/streams.ts';
import { cappedTenants } from './capped-tenants.ts';
import { Forecast, type ForecastState } from './forecast.ts';
import { StreamMarks } from './stream-marks.ts';

export interface SurveyParts {
  readonly bus: Pick<EventBus, 'publishSurvey'>;
  readonly queue: PendingQueue;
  /** How things stand now. */
  readonly look: () => Omit<ForecastState, 'now'> & Omit<OrderRules, 'now'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Jobs whose place is told one by one. */
export const FRONT = 1000;
const LEAST_PAUSE_MS = 1000;
/** While jobs wait and nothing changes: whoever reads it sees that somebody still looks. */
const REMIND_MS = 5000;
/** The whole line is walked once in so many ms for each job of it. */
const PAUSE_MS_PER_JOB = 0.2;
const SLICE_MS = 3;

type Looked = Omit<Survey, 'at' | 'front' | 'capped'>;
const NOTHING: Looked = { streams: [], stranded: [], drainedAt: null };

export class Surveyor implements Service {
  readonly #parts: SurveyParts;
  readonly #loop: Loop;
  readonly #throttle: Throttle;
  #whole: Looked = NOTHING;
  #wholeAt = Number.NEGATIVE_INFINITY;
  #toldEmpty = false;
  #sliceAt = 0;

  constructor(parts: SurveyParts) {
    const { clock, logger } = parts;
    this.#parts = parts;
    const step = (signal: AbortSignal): Promise<void> => this.#step(signal);
    this.#loop = new Loop({ name: 'survey', intervalMs: REMIND_MS, step, clock, logger });
    this.#throttle = new Throttle(clock, LEAST_PAUSE_MS, () => this.#loop.wake());
  }

  async start(): Promise<void> {
    await this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#throttle.cancel();
    await this.#loop.stop();
  }

  /** The queue or the fleet is not what it was. */
  changed(): void {
    this.#throttle.ask();
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { bus, queue } = this.#parts;
    if (queue.size === 0 && this.#toldEmpty) return;
    const survey = await this.take(signal);
    if (signal.aborted) return;
    this.#toldEmpty = survey.front.length === 0;
    bus.publishSurvey(survey);
  }

  /** How the queue stands. */
  async take(signal: AbortSignal): Promise<Survey> {
    const { clock, queue, look } = this.#parts;
    const now = clock.now();
    const tick = clock.monotonic();
    const isShort = queue.size <= FRONT;
    const isWhole =
      isShort || tick - this.#wholeAt >= Math.max(LEAST_PAUSE_MS, queue.size * PAUSE_MS_PER_JOB);
    this.#sliceAt = tick;
    const isFrozen = isWhole && !isShort;
    const streams = isFrozen ? await this.#frozenStreams(signal) : queue.streams();
    const state = look();
    const tenants = Array.from(queue.streams(), ({ tenant }) => tenant);
    const capped = cappedTenants(tenants, state);
    const walk = new OrderWalk(streams, { ...state, now });
    // what is not frozen is read before anything can change
    const turns = isFrozen ? firstOf(walk, FRONT) : [...firstOf(walk, FRONT)];
    await this.#breathe(signal);
    const forecast = new Forecast({ ...state, now });
    const marks = new StreamMarks(queue.size);
    const front: [string, number | null][] = [];
    for (const turn of turns) {
      await this.#breathe(signal);
      front.push([turn.job.id, note(turn, forecast, marks)]);
    }
    if (isWhole) {
      this.#wholeAt = tick;
      if (front.length === FRONT) await this.#walkOn(walk, forecast, marks, signal);
      this.#whole = { streams: marks.streams(), stranded: marks.stranded(), drainedAt: forecast.doneAt };
    }
    return { at: now, front, capped, ...this.#whole };
  }

  async #frozenStreams(signal: AbortSignal): Promise<Stream[]> {
    const streams: Stream[] = [];
    for (const stream of this.#parts.queue.frozenStreams()) {
      streams.push(stream);
      await this.#breathe(signal);
    }
    return streams;
  }

  async #walkOn(walk: OrderWalk, forecast: Forecast, marks: StreamMarks, signal: AbortSignal): Promise<void> {
    for (let turn = walk.next(); turn && !signal.aborted; turn = walk.next()) {
      await this.#breathe(signal);
      note(turn, forecast, marks);
    }
  }

  /** Lets others work once it took its time. */
  #breathe(signal: AbortSignal): Promise<void> | undefined {
    const { clock } = this.#parts;
    if (signal.aborted || clock.monotonic() - this.#sliceAt < SLICE_MS) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#sliceAt = clock.monotonic();
        resolve();
      });
    });
  }
}

function* firstOf(walk: OrderWalk, most: number): Generator<Turn, void> {
  for (let count = 0; count < most; count++) {
    const turn = walk.next();
    if (!turn) return;
    yield turn;
  }
}

function note({ job, lane }: Turn, forecast: Forecast, marks: StreamMarks): number | null {
  const startsAt = forecast.place(lane);
  marks.add(job, startsAt, startsAt === null && forecast.isStranded(lane));
  return startsAt;
}
