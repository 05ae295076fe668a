/**
 * Ids that sort in the order they were made: UUIDs of version 7, with a counter for those of one millisecond. So rows
 * of equal time keep their order of arrival, and ids made in a row stand side by side in an index.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from './clock.ts';

const COUNTER_LIMIT = 0x1000;

/** `random` answers that many random bytes. A clock that goes back does not make ids go back. */
export function createIds(
  clock: Pick<Clock, 'now'>,
  random: (bytes: number) => Uint8Array = randomBytes,
): () => string {
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
    const tail = Buffer.from(random(8));
    tail[0] = ((tail[0] ?? 0) & 0x3f) | 0x80;
    const hex = `${time.toString(16).padStart(12, '0')}7${counter.toString(16).padStart(3, '0')}${tail.toString('hex')}`;
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  };
}

/** No id made at this moment (epoch ms) or later sorts before it: finds the rows of late by their ids. */
export function lowestIdAt(ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
