/** A write of a run that must not be lost because the store is away, or full, for a while. */
import { type Clock, pause } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';

const STORE_RETRY_MS = 1000;

export interface InsistParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted when nobody wants it any more. */
  readonly signal: AbortSignal;
  /** Default: for ever. */
  readonly withinMs?: number;
}

/** Tries again until it works, as long as it may. */
export async function insistOn<T>(
  { clock, logger, signal, withinMs = Number.POSITIVE_INFINITY }: InsistParts,
  work: () => Promise<T>,
): Promise<T | 'given up'> {
  const since = clock.monotonic();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      logger.error({ err: error }, 'a change of an attempt could not be written; it is tried again');
    }
    if (clock.monotonic() - since >= withinMs) return 'given up';
    if (!(await pause(clock, STORE_RETRY_MS, signal))) return 'given up';
  }
}

/** What it takes of a run. */
interface Insistent {
  readonly parts: Pick<InsistParts, 'clock'>;
  readonly logger: Logger;
  readonly stopSignal: AbortSignal;
}

/** Tries again until it works; null when the process stops first. */
export async function insist<T>(run: Insistent, work: () => Promise<T>): Promise<T | null> {
  const { clock } = run.parts;
  const done = await insistOn({ clock, logger: run.logger, signal: run.stopSignal }, work);
  return done === 'given up' ? null : done;
}
