/**
 * Tells waiting jobs what changed for them: why their class waits (a row per class, written only when it changes), and
 * that their place moved, which is worth a message only now and then and only near the front.
 */
import type { EventBus } from '../events/bus.ts';
import type { PendingJob } from '../store/jobs.ts';
import { setBlocked } from '../store/needs.ts';
import type { Db } from '../store/open.ts';
import { OrderWalk, PLAIN_ORDER } from './order-walk.ts';
import type { PendingQueue } from './pending-queue.ts';

const PLACES_EVERY_MS = 2000;
const TOLD_AT_ONCE = 200;

export class QueueNews {
  readonly #db: Db;
  readonly #bus: EventBus;
  readonly #queue: PendingQueue;
  readonly #written = new Map<string, string | null>();
  #moved = false;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(db: Db, bus: EventBus, queue: PendingQueue) {
    this.#db = db;
    this.#bus = bus;
    this.#queue = queue;
  }

  /** Jobs left the queue: those behind moved up. */
  placesMoved(): void {
    this.#moved = true;
  }

  /** Writes what is new, while `goOn` says so; `now` in epoch ms. */
  async reasons(
    blocked: ReadonlyMap<string, string | null>,
    now: number,
    goOn: () => boolean,
  ): Promise<void> {
    for (const key of this.#written.keys()) {
      if (blocked.has(key)) continue;
      if (!goOn()) return;
      if (this.#written.get(key) !== null) await setBlocked(this.#db, key, null, now);
      this.#written.delete(key);
    }
    for (const [key, reason] of blocked) {
      if (this.#written.get(key) === reason) continue;
      if (!goOn()) return;
      const news = await setBlocked(this.#db, key, reason, now);
      this.#written.set(key, reason);
      if (!news) continue;
      this.#tell((job) => job.needsKey === key, now);
      this.#bus.publish({ kind: 'queue', at: now });
    }
  }

  /** Tells the jobs near the front that they moved, unless that was done a moment ago. `tick` in monotonic ms. */
  places(now: number, tick: number): void {
    if (!this.#moved || tick - this.#toldAt < PLACES_EVERY_MS) return;
    this.#moved = false;
    this.#toldAt = tick;
    this.#tell(() => true, now);
  }

  #tell(concerned: (job: PendingJob) => boolean, at: number): void {
    const walk = new OrderWalk(this.#queue.streams(), PLAIN_ORDER);
    let told = 0;
    for (let turn = walk.next(); turn && told < TOLD_AT_ONCE; turn = walk.next()) {
      if (!concerned(turn.job)) continue;
      const { id: jobId, tenant, seq } = turn.job;
      this.#bus.publish({ kind: 'job', jobId, tenant, seq, at, change: { type: 'queue' } });
      told++;
    }
  }
}
