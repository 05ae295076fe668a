/**
 * Judges what happened: rows of the store, what the instances noted of themselves, and what subscribers received, against
 * the promises of the gateway. Every test of faults ends with it.
 *
 *   I1  what was acknowledged is there, in exactly one state
 *   I2  at most one accepted result; only its outputs are visible
 *   I3  a job runs again only after a lost or retried attempt; no prompt is posted or run twice
 *   I4  no more attempts are charged, and no more instances go down, than a job may cost
 *   I5  a job that has not ended waits or is being run; no slot is held by what has ended
 *   I6  events are numbered without gaps, with one terminal event, which is the last; subscribers see them in order, once
 *   I7  what belongs to a job belongs to its tenant
 *   I8  what is bounded stays within its bound
 */
import { AssertionError } from 'node:assert';
import { createLogger } from '../../src/lib/logger.ts';
import { type Db, openStore } from '../../src/store/open.ts';
import { eventRules } from './history/event-rules.ts';
import { type Evidence, type History, type Rule, readHistory, type Violation } from './history/evidence.ts';
import { executionRules } from './history/execution-rules.ts';
import { jobRules } from './history/job-rules.ts';
import { subscriberRules } from './history/subscriber-rules.ts';

const RULES: readonly Rule[] = [jobRules, executionRules, eventRules, subscriberRules, bounds];

/** Violations of a history that was read already. */
export function judgeHistory(history: History): Violation[] {
  return RULES.flatMap((rule) => rule(history));
}

/** `db`: of a running store, or of one opened for this. */
export async function checkHistory(db: Db, evidence: Evidence = {}): Promise<Violation[]> {
  return judgeHistory(await readHistory(db, evidence));
}

/** @throws AssertionError with every violation, when there is one. */
export async function assertHistory(db: Db, evidence: Evidence = {}): Promise<void> {
  const violations = await checkHistory(db, evidence);
  if (violations.length > 0) throw new AssertionError({ message: describeViolations(violations) });
}

/** The same for the data folder of a gateway that does not run any more. */
export async function assertStoppedHistory(dataDir: string, evidence: Evidence = {}): Promise<void> {
  await withStoreOf(dataDir, (db) => assertHistory(db, evidence));
}

/** Opens the store of a gateway that does not run, for a moment; `url` when it lies in a database of its own. */
export async function withStoreOf<T>(
  dataDir: string,
  work: (db: Db) => Promise<T>,
  url?: string,
): Promise<T> {
  const store = await openStore({ url, dataDir, synchronous: 'NORMAL', logger: createLogger('silent') });
  try {
    return await work(store.db);
  } finally {
    await store.stop();
  }
}

const MOST_SHOWN = 30;

export function describeViolations(violations: readonly Violation[]): string {
  const lines = violations
    .slice(0, MOST_SHOWN)
    .map(({ invariant, jobId, evidence }) => `${invariant} ${jobId ?? ''}: ${evidence}`);
  const more = violations.length > MOST_SHOWN ? [`... and ${violations.length - MOST_SHOWN} more`] : [];
  return [`${violations.length} violations`, ...lines, ...more].join('\n  ');
}

function bounds({ bounds: given = [] }: History): Violation[] {
  return given
    .filter(({ measured, bound }) => !(measured <= bound))
    .map(({ what, measured, bound }) => ({
      invariant: 'I8',
      jobId: null,
      evidence: `${what}: ${measured}, bound ${bound}`,
    }));
}
