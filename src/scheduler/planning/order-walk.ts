/**
 * The order of the waiting jobs, one after the other, as they would be served if each could go the moment it is first:
 * effective priority, fair turns between tenants, arrival. Effective means that a job counts as one priority higher for
 * each ageing time that it has waited, up to the highest, so that nothing starves. A walk changes nothing and looks at no
 * more jobs than it is asked for, and at one more in each stream.
 *
 * Levels are served from the highest down; within one, tenants stand in a heap by the turn at which their next job starts.
 */
import { sameForAll } from '../../domain/tenant-limits.ts';
import { Heap } from '../../lib/heap.ts';
import type { PendingJob } from '../../store/jobs.ts';
import { NO_ESTIMATES } from './estimates.ts';
import { EVEN_SHARES, FairShare, isReturned, type ShareRules } from './fair-share.ts';
import type { Turn } from './pending-queue.ts';
import { StreamCursor } from './stream-cursor.ts';
import { arrivedBefore, type Stream } from './streams.ts';

export interface OrderRules extends ShareRules {
  /** Epoch ms. */
  readonly now: number;
  readonly ageingMs: number;
}

/** By priority as submitted and arrival, all tenants alike. */
export const PLAIN_ORDER: OrderRules = {
  now: 0,
  ageingMs: Number.POSITIVE_INFINITY,
  shares: EVEN_SHARES,
  limitsOf: sameForAll,
  estimates: NO_ESTIMATES,
};

const HIGHEST = 10;

/** The priority that the job counts as by now. */
export function effectivePriority(job: PendingJob, { now, ageingMs }: OrderRules): number {
  const waited = Math.max(0, now - job.createdAt);
  return Math.min(HIGHEST, job.priority + Math.floor(waited / ageingMs));
}

/** A tenant at the level that is being served. */
interface Front {
  readonly tenant: string;
  /** Streams of it whose first job is of this level. */
  readonly cursors: StreamCursor[];
  head: Turn;
  /** The cursor that `head` is the first of. */
  cursor: StreamCursor;
  start: number;
}

export class OrderWalk {
  readonly #rules: OrderRules;
  readonly #share: FairShare;
  /** A lane that may not go when its job would be next is left out from then on. */
  readonly #mayGo: (turn: Turn) => boolean;
  /** By level: streams whose first job is of it. */
  readonly #levels: StreamCursor[][] = Array.from({ length: HIGHEST + 1 }, () => []);
  /** Where the next jobs of tenants start, of which some were passed. */
  readonly #starts = new Map<string, number>();
  #turn: number;
  #level = HIGHEST + 1;
  #fronts = new Heap<Front>(goesBefore);

  constructor(streams: Iterable<Stream>, rules: OrderRules, mayGo: (turn: Turn) => boolean = () => true) {
    this.#rules = rules;
    this.#share = new FairShare(rules);
    this.#mayGo = mayGo;
    this.#turn = this.#share.turn;
    for (const stream of streams) this.#sort(new StreamCursor(stream));
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

  #pass({ tenant, head, start, cursor }: Front): void {
    this.#turn = Math.max(this.#turn, start);
    if (!isReturned(head.job)) this.#starts.set(tenant, start + this.#share.step(head));
    cursor.pass();
  }

  /** Begins the next level that has jobs. */
  #descend(): boolean {
    while (this.#level > 0) {
      const cursors = this.#levels[--this.#level] ?? [];
      if (cursors.length === 0) continue;
      this.#fronts = new Heap<Front>(goesBefore);
      for (const front of frontsOf(cursors)) if (this.#look(front)) this.#fronts.push(front);
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
      if (!head || effectivePriority(head.job, this.#rules) < this.#level) {
        front.cursors.splice(at, 1);
        this.#sort(cursor);
      } else if (!first || arrivedBefore(head.job, first.job) < 0) {
        first = head;
        front.cursor = cursor;
      }
    }
    if (!first) return false;
    front.head = first;
    const own = this.#starts.get(front.tenant) ?? this.#share.startOf(front.tenant);
    front.start = isReturned(first.job) ? this.#turn : Math.max(this.#turn, own);
    return true;
  }

  /** Keeps the stream for the level of its first job. */
  #sort(cursor: StreamCursor): void {
    if (cursor.head) this.#levels[effectivePriority(cursor.head.job, this.#rules)]?.push(cursor);
  }
}

function frontsOf(cursors: readonly StreamCursor[]): Iterable<Front> {
  const fronts = new Map<string, Front>();
  for (const cursor of cursors) {
    const { tenant, head } = cursor;
    const known = fronts.get(tenant);
    if (known) known.cursors.push(cursor);
    else if (head) fronts.set(tenant, { tenant, cursors: [cursor], head, cursor, start: 0 });
  }
  return fronts.values();
}

function goesBefore(a: Front, b: Front): boolean {
  return a.start < b.start || (a.start === b.start && arrivedBefore(a.head.job, b.head.job) < 0);
}
