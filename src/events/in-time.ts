/** An answer when it comes soon enough, else null: who asks Redis must not wait for it. */
import { type Clock, pause } from '../lib/clock.ts';

export async function inTime<T>(clock: Clock, ms: number, answer: Promise<T> | null): Promise<T | null> {
  if (answer === null) return null;
  const over = new AbortController();
  try {
    return await Promise.race([answer.catch(() => null), pause(clock, ms, over.signal).then(() => null)]);
  } finally {
    over.abort();
  }
}
