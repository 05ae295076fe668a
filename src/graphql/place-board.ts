/**
 * Places in the queue, for all who ask for or watch a waiting job: from the leader's picture of the queue where there is one
 * of late, else from rows. Who watches is told when its place has changed: after any change of the queue all watched jobs are
 * looked at together, at most every two seconds.
 */
import type { BusSubscription, EventBus } from '../events/bus.ts';
import { Throttle } from '../events/throttle.ts';
import { instancesTopic, queueTopic } from '../events/topics.ts';
import type { Clock } from '../lib/clock.ts';
import type { Gate } from '../lib/gate.ts';
import type { Logger } from '../lib/logger.ts';
import { queuePositions } from '../store/jobs.ts';
import { blockedReasons } from '../store/needs.ts';
import type { Store } from '../store/open.ts';
import { Places, type Standing, type Waiting, waitingOf } from './places.ts';

export interface Place extends Standing {
  readonly blockedBy: string | null;
}

export interface PlaceBoardParts {
  readonly store: Store;
  readonly bus: EventBus;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Watched {
  readonly job: Waiting;
  readonly onMoved: (place: Place) => void;
  last: Place | null;
}

const LOOK_EVERY_MS = 2000;
const LOOKED_AT_ONCE = 500;
/** To read the picture from Redis takes as long as many answers from it. */
const PICTURE_KEPT_MS = 500;
/** Where more wait, rows are not counted for the sake of jobs that came after the picture. */
const COUNTED_BY_ROWS = 5000;

export class PlaceBoard {
  readonly #parts: PlaceBoardParts;
  readonly #gate: Gate;
  readonly #shutdown: AbortSignal;
  readonly #watched = new Set<Watched>();
  readonly #throttle: Throttle;
  #listening: BusSubscription | null = null;
  #places: Places | null = null;
  #read: { readonly at: number; readonly picture: Promise<Places | null> } | null = null;

  /** `gate`: shared by all who read for subscriptions. `shutdown`: from then on nobody is told anything. */
  constructor(parts: PlaceBoardParts, gate: Gate, shutdown: AbortSignal) {
    this.#parts = parts;
    this.#gate = gate;
    this.#shutdown = shutdown;
    this.#throttle = new Throttle(parts.clock, LOOK_EVERY_MS, () => void this.#look());
    shutdown.addEventListener('abort', () => this.#throttle.cancel(), { once: true });
  }

  /** Where they stand now; null for a job that has left the queue, as far as that is known. */
  async standings(jobs: readonly Waiting[]): Promise<(Standing | null)[]> {
    const picture = await this.picture();
    const now = this.#parts.clock.now();
    const isByRows = (job: Waiting): boolean =>
      !picture || (picture.size <= COUNTED_BY_ROWS && !picture.knows(job));
    const counted = new Set(jobs.filter(isByRows).map(({ id }) => id));
    const positions = await queuePositions(this.#parts.store.db, [...counted]);
    return jobs.map((job) => {
      if (picture && !counted.has(job.id)) return picture.of(job, now);
      const position = positions.get(job.id);
      if (position === undefined) return null;
      return picture?.at(position, job, now) ?? { position };
    });
  }

  /** Tells of each change of the place from now on; the answer ends it. */
  watch(job: Waiting, onMoved: (place: Place) => void): () => void {
    const watched: Watched = { job: waitingOf(job), onMoved, last: null };
    this.#watched.add(watched);
    if (this.#watched.size === 1) void this.#listen();
    return () => {
      this.#watched.delete(watched);
      if (this.#watched.size > 0) return;
      this.#throttle.cancel();
      this.#listening?.close();
      this.#listening = null;
    };
  }

  /** The leader's picture; null without one of late. */
  async picture(): Promise<Places | null> {
    const { clock } = this.#parts;
    const tick = clock.monotonic();
    if (!this.#read || tick - this.#read.at >= PICTURE_KEPT_MS) {
      this.#read = { at: tick, picture: this.#readPicture() };
    }
    const picture = await this.#read.picture;
    return picture?.isFresh(clock.now()) ? picture : null;
  }

  async #readPicture(): Promise<Places | null> {
    const survey = await this.#parts.bus.latestSurvey();
    if (survey && survey.at !== this.#places?.survey.at) this.#places = new Places(survey);
    return survey && this.#places;
  }

  async #listen(): Promise<void> {
    const { bus } = this.#parts;
    const subscription = await bus.subscribe([queueTopic, instancesTopic], {
      signal: this.#shutdown,
      limit: 1,
    });
    if (this.#listening || this.#watched.size === 0) {
      subscription.close();
      return;
    }
    this.#listening = subscription;
    for await (const _ of subscription) {
      this.#read = null;
      this.#throttle.ask();
    }
    if (this.#listening === subscription) this.#listening = null;
  }

  /** Never rejects: the next change of the queue looks again. */
  async #look(): Promise<void> {
    const watched = [...this.#watched];
    try {
      for (let from = 0; from < watched.length; from += LOOKED_AT_ONCE) {
        await this.#compare(watched.slice(from, from + LOOKED_AT_ONCE));
      }
    } catch (error) {
      this.#parts.logger.warn({ err: error }, 'places in the queue could not be read');
    }
  }

  async #compare(some: readonly Watched[]): Promise<void> {
    const places = await this.#gate.run(() => this.#answer(some.map(({ job }) => job)));
    for (const [index, one] of some.entries()) {
      const place = places[index];
      const { last } = one;
      if (!place || (last?.position === place.position && last.blockedBy === place.blockedBy)) continue;
      one.last = place;
      if (this.#watched.has(one)) one.onMoved(place);
    }
  }

  async #answer(jobs: readonly Waiting[]): Promise<(Place | null)[]> {
    if (this.#shutdown.aborted) return jobs.map(() => null);
    const { db } = this.#parts.store;
    const standings = await this.standings(jobs);
    const reasons = await blockedReasons(db, [...new Set(jobs.map(({ needsKey }) => needsKey))]);
    const picture = await this.picture();
    return jobs.map(({ needsKey, tenant }, index) => {
      const standing = standings[index];
      const blockedBy = reasons.get(needsKey) ?? picture?.heldBack(tenant) ?? null;
      return standing ? { ...standing, blockedBy } : null;
    });
  }
}
