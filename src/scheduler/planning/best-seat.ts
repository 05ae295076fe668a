/** Which of the free places that a job could go to is best for it, and for those that wait behind it. */

import type { Turn } from './pending-queue.ts';
import { type Seat, wasThere } from './seats.ts';

/** The plan's side of the question. */
export interface Surroundings {
  /** Models that the job needs. */
  readonly models: readonly string[];
  /** How many waiting jobs name the model. */
  readonly demandOf: (model: string) => number;
  /** Whose turn it is among equals, of so many instances. */
  readonly cursor: number;
  readonly instances: number;
}

/**
 * Not where its last attempt ended, if there is another place; then the least loaded; then the one that holds the least that
 * others wait for, an empty one first, and the most of what the job needs; a healthy one; a repeated job goes to the largest
 * memory, as it may have lacked it; else equals take turns. Null when there is no place.
 */
export function bestSeat(
  places: readonly Seat[],
  { job }: Turn,
  { models, demandOf, cursor, instances }: Surroundings,
): Seat | null {
  if (places.length < 2) return places[0] ?? null;
  const turn = ({ index }: Seat): number => (index - cursor + instances) % instances;
  const loss = (seat: Seat): number => wanted(seat, models, demandOf);
  const order = (a: Seat, b: Seat): number =>
    wasThere(a, job) - wasThere(b, job) ||
    load(a) - load(b) ||
    loss(a) - loss(b) ||
    overlap(b, models) - overlap(a, models) ||
    doubt(a) - doubt(b) ||
    (job.attemptCount > 0 ? memory(b) - memory(a) : 0) ||
    turn(a) - turn(b);
  return places.reduce((best, seat) => (order(best, seat) <= 0 ? best : seat));
}

/** How many jobs wait for what would leave memory, at worst; fewer than none when nothing would. */
function wanted({ loaded }: Seat, models: readonly string[], demandOf: (model: string) => number): number {
  const leaving = loaded.filter((model) => !models.includes(model));
  return leaving.reduce((sum, model) => sum + demandOf(model), leaving.length === 0 ? -1 : 0);
}

function overlap({ loaded }: Seat, models: readonly string[]): number {
  return models.filter((model) => loaded.includes(model)).length;
}

function load({ busy, candidate }: Seat): number {
  return busy / candidate.capacity;
}

function doubt({ candidate }: Seat): number {
  return candidate.health === 'HEALTHY' ? 0 : 1;
}

function memory({ candidate }: Seat): number {
  return candidate.vramBytes ?? 0;
}
