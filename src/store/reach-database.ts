/** A database that starts beside us, or after us, is waited for; one that refuses us is not. */
import { type Clock, pause } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { storeTrouble } from './retryable.ts';

export interface ReachParts {
  readonly url: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the waiting, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export const PATIENCE_MS = 60_000;
const PAUSE_MS = 500;
const TELL_EVERY_MS = 5000;

/** What the set-up got wrong, by what Postgres says. */
const REFUSALS: Readonly<Record<string, string>> = {
  '28P01': 'refuses the user or the password of DATABASE_URL',
  '28000': 'does not let in the user of DATABASE_URL',
  '3D000': 'has no database of the name in DATABASE_URL; create it',
};

/**
 * Tries again while the database cannot be reached, for a minute at most.
 * @throws with what to do about it; never names the user or the password.
 */
export async function reachDatabase<T>(parts: ReachParts, work: () => Promise<T>): Promise<T> {
  const { clock, logger, signal } = parts;
  const host = hostOf(parts.url);
  const since = clock.monotonic();
  let toldAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const reason = reasonOf(error);
      const refusal = REFUSALS[reason];
      if (refusal) throw new Error(`the database at ${host} ${refusal} (${reason})`);
      if (storeTrouble(error) !== 'unavailable') throw error;
      const now = clock.monotonic();
      if (now - since >= PATIENCE_MS) throw unreachable(host, reason, now - since);
      if (now - toldAt >= TELL_EVERY_MS) {
        toldAt = now;
        logger.warn({ host, reason }, 'the database does not answer yet; it is waited for');
      }
    }
    await pause(clock, PAUSE_MS, signal);
    signal?.throwIfAborted();
  }
}

function unreachable(host: string, reason: string, afterMs: number): Error {
  const seconds = Math.round(afterMs / 1000);
  const advice = 'see that it runs, that this machine may reach it, and that DATABASE_URL names it';
  return new Error(`the database at ${host} did not answer for ${seconds} s (${reason}); ${advice}`);
}

/** A code where there is one: messages may name the user. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}

function hostOf(url: string): string {
  if (!URL.canParse(url)) return 'the address in DATABASE_URL';
  const { host, searchParams } = new URL(url);
  return host || searchParams.get('host') || 'localhost';
}
