/**
 * The order of the waiting jobs, one after the other, as they would be served if each could go the moment it is first:
 * effective priority, fair turns between tenants, arrival. Effective means that a job counts as one priority higher for
 * each ageing time that it has waited (ageing.ts). A walk changes nothing and looks at no more jobs than it is asked for,
 * and at one more in each stream.
 *
 * Levels are served from the highest down; within one, tenants stand in a heap by the turn at which their next job starts.
 */
import { sameForAll } from '../../domain/tenant-limits.ts';
import { Heap } from '../../lib/heap.ts';
import { HIGHEST_PRIORITY } from './ageing.ts';
import { NO_ESTIMATES } from './estimates.ts';
import { EVEN_SHARES, FairShare, isReturned, type ShareRules } from './fair-share.ts';
import type { Turn } from './pending-queue.ts';
import { StreamCursor } from './stream-cursor.ts';
import { arrivedBefore, type Stream } from './streams.ts';

export type OrderRules = ShareRules;

/** By priority as submitted and arrival, all tenants alike. */
export const PLAIN_ORDER: OrderRules = {
  now: 0,
  ageingMs: Number.POSITIVE_INFINITY,
  shares: EVEN_SHARES,
  limitsOf: sameForAll,
  estimates: NO_ESTIMATES,
};

/** Where the next job of a tenant starts, of which some were passed. */
interface Course {
  start: number;
}

/** A tenant at the level that is being served. */
interface Front {
  readonly course: Course;
  /** Streams of it whose first job is of this level. */
  readonly cursors: StreamCursor[];
  head: Turn;
  /** The cursor that `head` is the first of. */
  cursor: StreamCursor;
  start: number;
}

export class OrderWalk {
  readonly #share: FairShare;
  /** A lane that may not go when its job would be next is left out from then on. */
  readonly #mayGo: (turn: Turn) => boolean;
  /** By level: streams whose first job is of it. */
  readonly #levels: StreamCursor[][] = Array.from({ length: HIGHEST_PRIORITY + 1 }, () => []);
  readonly #courses = new Map<string, Course>();
  #turn: number;
  #level = HIGHEST_PRIORITY + 1;
  #fronts = new Heap<Front>(goesBefore);

  /** `share`: as the rules say, and nobody else's unless those in order are dispatched with it. */
  constructor(
    streams: Iterable<Stream>,
    rules: OrderRules,
    mayGo: (turn: Turn) => boolean = () => true,
    share = new FairShare(rules),
  ) {
    this.#share = share;
    this.#mayGo = mayGo;
    this.#turn = this.#share.turn;
    for (const stream of streams) this.#sort(new StreamCursor(stream, this.#share, rules));
  }

  /** The next job in order; null when there is none any more. */
  next(): Turn | null {
    for (;;) {
      const front = this.#fronts.first();
      if (front) {
        const { head } = front;
        const goes = this.#mayGo(head);
        if (goes) this.#pass(front);
        else front.cursor.leaveOut();
        if (this.#look(front)) this.#fronts.sinkFirst();
        else this.#fronts.removeFirst();
        if (goes) return head;
      } else if (!this.#descend()) return null;
    }
  }

  #pass({ head, start, course, cursor }: Front): void {
    const own = Math.max(this.#turn, course.start);
    this.#turn = Math.max(this.#turn, start);
    if (!isReturned(head.job)) course.start = own + this.#share.step(head);
    cursor.pass();
  }

  /** Begins the next level that has jobs. */
  #descend(): boolean {
    while (this.#level > 0) {
      const cursors = this.#levels[--this.#level] ?? [];
      if (cursors.length === 0) continue;
      this.#fronts = new Heap<Front>(goesBefore);
      for (const front of this.#frontsOf(cursors)) if (this.#look(front)) this.#fronts.push(front);
      return true;
    }
    return false;
  }

  /** Finds the tenant's first job of this level; false when there is none. */
  #look(front: Front): boolean {
    let first: Turn | null = null;
    for (let at = front.cursors.length - 1; at >= 0; at--) {
      const cursor = front.cursors[at] as StreamCursor;
      const { head } = cursor;
      if (!head || cursor.level < this.#level) {
        front.cursors.splice(at, 1);
        this.#sort(cursor);
      } else if (!first || arrivedBefore(head.job, first.job) < 0) {
        first = head;
        front.cursor = cursor;
      }
    }
    if (!first) return false;
    front.head = first;
    front.start = this.#startOf(front);
    return true;
  }

  #startOf({ head, course, cursor }: Front): number {
    if (isReturned(head.job)) return this.#turn;
    return Math.min(Math.max(this.#turn, course.start), cursor.keptStart);
  }

  /** Keeps the stream for the level of its first job. */
  #sort(cursor: StreamCursor): void {
    if (cursor.head) this.#levels[cursor.level]?.push(cursor);
  }

  #frontsOf(cursors: readonly StreamCursor[]): Iterable<Front> {
    const fronts = new Map<string, Front>();
    for (const cursor of cursors) {
      const { tenant, head } = cursor;
      const known = fronts.get(tenant);
      if (known) known.cursors.push(cursor);
      else if (head)
        fronts.set(tenant, { course: this.#courseOf(tenant), cursors: [cursor], head, cursor, start: 0 });
    }
    return fronts.values();
  }

  #courseOf(tenant: string): Course {
    const known = this.#courses.get(tenant);
    if (known) return known;
    const course = { start: this.#share.startOf(tenant) };
    this.#courses.set(tenant, course);
    return course;
  }
}

function goesBefore(a: Front, b: Front): boolean {
  return a.start < b.start || (a.start === b.start && arrivedBefore(a.head.job, b.head.job) < 0);
}
