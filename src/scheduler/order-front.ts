/**
 * The front of the order while one plan is made: jobs that may still go, read from a walk no further than somebody looks.
 * One that may not go any more (its last place was taken, its tenant has enough) is left out when it is next looked at.
 */
import type { OrderWalk } from './order-walk.ts';
import type { Turn } from './pending-queue.ts';

export interface Waiting {
  readonly turn: Turn;
  /** How often it was overtaken, this plan included. */
  overtaken: number;
  hasGone: boolean;
}

interface Link {
  readonly waiting: Waiting | null;
  next: Link | null;
}

export class OrderFront {
  readonly #walk: OrderWalk;
  readonly #mayGo: (turn: Turn) => boolean;
  readonly #overtaken: (jobId: string) => number;
  readonly #start: Link = { waiting: null, next: null };

  constructor(walk: OrderWalk, mayGo: (turn: Turn) => boolean, overtaken: (jobId: string) => number) {
    this.#walk = walk;
    this.#mayGo = mayGo;
    this.#overtaken = overtaken;
  }

  /** In order, each when it is asked for. */
  *jobs(): Generator<Waiting, void> {
    let before = this.#start;
    for (;;) {
      before.next ??= this.#read();
      const link = before.next;
      if (!link?.waiting) return;
      if (!link.waiting.hasGone && this.#mayGo(link.waiting.turn)) {
        yield link.waiting;
        before = link;
      } else before.next = link.next;
    }
  }

  #read(): Link | null {
    const turn = this.#walk.next();
    if (!turn) return null;
    return { waiting: { turn, overtaken: this.#overtaken(turn.job.id), hasGone: false }, next: null };
  }
}
