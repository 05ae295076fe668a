/** A write of a run that must not be lost because the store is away for a while. */
import { pause } from '../lib/clock.ts';
import type { ActiveRun } from './active-run.ts';

const STORE_RETRY_MS = 1000;

/** Tries again until it works; null when the process stops first. */
export async function insist<T>(run: ActiveRun, work: () => Promise<T>): Promise<T | null> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      run.logger.error({ err: error }, 'a change of an attempt could not be written; it is tried again');
    }
    if (!(await pause(run.parts.clock, STORE_RETRY_MS, run.stopSignal))) return null;
  }
}
