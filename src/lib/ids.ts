/**
 * Ids that sort in the order they were made: UUIDs of version 7, with a counter for those of one millisecond. So rows
 * of equal time keep their order of arrival, and ids made in a row stand side by side in an index.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from './clock.ts';

const COUNTER_LIMIT = 0x1000;

/** The random end is that of Node's own UUIDs, which fetches randomness for many at once: that alone was most of an id. */
export function createIds(clock: Pick<Clock, 'now'>): () => string {
  let time = 0;
  let counter = 0;
  return () => {
    const now = clock.now();
    counter = now > time ? 0 : counter + 1;
    time = Math.max(time, now);
    if (counter === COUNTER_LIMIT) {
      counter = 0;
      time += 1;
    }
    const end = randomUUID().slice('xxxxxxxx-xxxx-4xxx-'.length);
    return `${lowestIdAt(time)}-7${counter.toString(16).padStart(3, '0')}-${end}`;
  };
}

/** No id made at this moment (epoch ms) or later sorts before it: finds the rows of late by their ids. */
export function lowestIdAt(ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
