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

interface Link extends Waiting {
  next: Link | null;
}

export class OrderFront {
  readonly #walk: OrderWalk;
  readonly #mayGo: (turn: Turn) => boolean;
  readonly #overtaken: (jobId: string) => number;
  #first: Link | null = null;

  constructor(walk: OrderWalk, mayGo: (turn: Turn) => boolean, overtaken: (jobId: string) => number) {
    this.#walk = walk;
    this.#mayGo = mayGo;
    this.#overtaken = overtaken;
  }

  /** In order, each when it is asked for. */
  *jobs(): Generator<Waiting, void> {
    let before: Link | null = null;
    for (;;) {
      const known: Link | null = before ? before.next : this.#first;
      const link: Link | null = known ?? this.#read();
      if (!link) return;
      // the walk has just asked for those that are read now
      const stays = !known || (!link.hasGone && this.#mayGo(link.turn));
      const next = stays ? link : link.next;
      if (before) before.next = next;
      else this.#first = next;
      if (!stays) continue;
      yield link;
      before = link;
    }
  }

  #read(): Link | null {
    const turn = this.#walk.next();
    return turn && { turn, overtaken: this.#overtaken(turn.job.id), hasGone: false, next: null };
  }
}
