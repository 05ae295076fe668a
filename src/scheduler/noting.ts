/** States that an attempt only passes through are written when it stays in them: a fast one is spared the writes. */
import { pause } from '../lib/clock.ts';
import { type Insisting, insist } from './insist.ts';

/** Ms. A successor of this process finds out by asking the instance whatever is not written. */
const WORTH_NOTING_MS = 50;

/** What `work` answers; if it takes longer than a moment, `note` is written meanwhile. */
export async function notedIfLong<T>(
  run: Insisting,
  work: Promise<T>,
  note: () => Promise<unknown>,
): Promise<T> {
  const over = new AbortController();
  const noting = writeLater(run, note, over.signal);
  try {
    return await work;
  } finally {
    over.abort('over');
    await noting;
  }
}

async function writeLater(run: Insisting, note: () => Promise<unknown>, over: AbortSignal): Promise<void> {
  if (await pause(run.parts.clock, WORTH_NOTING_MS, over)) await insist(run, note);
}
