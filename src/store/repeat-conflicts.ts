/**
 * Transactions that stood in each other's way: the database undid one of them, for certain, and it is simply done again.
 * Nothing else is repeated here: of a COMMIT without an answer nobody knows whether it took place.
 */
import { fullJitter } from '../lib/backoff.ts';
import { type Clock, pause } from '../lib/clock.ts';
import { storeTrouble } from './retryable.ts';

const MOST_TRIES = 5;
const BOUNDS = { baseMs: 20, capMs: 200 };

export interface RepeatParts {
  readonly clock: Clock;
  readonly random: () => number;
}

export async function repeatConflicts<T>({ clock, random }: RepeatParts, work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries >= MOST_TRIES || storeTrouble(error) !== 'conflict') throw error;
    }
    await pause(clock, fullJitter(tries, BOUNDS, random));
  }
}
