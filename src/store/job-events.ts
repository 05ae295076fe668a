/** Reading durable events: what a subscriber missed. */
import { sql } from 'kysely';
import type { JobEventRow } from '../domain/job-event.ts';
import { grouped } from './grouped.ts';
import type { Db } from './open.ts';
import { eventFromRow } from './rows.ts';
import { statement } from './statement.ts';
import { ofTenant, type Scope, tenantOf } from './viewer-scope.ts';

/** Where a subscriber of a job is. */
export interface EventsCursor {
  readonly jobId: string;
  /** Number of the last event it has; 0 for none. */
  readonly after: number;
}

interface After {
  readonly jobIds: readonly string[];
  readonly seqs: readonly number[];
  readonly limit: number;
  readonly tenant: string | undefined;
}

// A job's events are numbered without gaps: so many of them is so far in numbers.
const selectAfter = statement((q, p: After) =>
  q
    .with('asked(job_id, after)', () => {
      const rows = p.jobIds.map((id, n) => sql`(${id}, cast(${p.seqs[n]} as integer))`);
      return sql<{ job_id: string; after: number }>`(values ${sql.join(rows)})`;
    })
    .selectFrom('asked')
    .innerJoin('job_events', (join) =>
      join
        .onRef('job_events.job_id', '=', 'asked.job_id')
        .onRef('job_events.seq', '>', 'asked.after')
        .on('job_events.seq', '<=', sql<number>`asked.after + ${p.limit}`),
    )
    .selectAll('job_events')
    .select('asked.after')
    .where(ofTenant(p.tenant, 'job_events'))
    .orderBy('job_events.seq'),
);

/** A statement asks for as many as one of these: so there are few texts. */
const SIZES = [1, 4, 16, 64, 256] as const;
const LARGEST = 256;

/** The job's events with a greater seq, in order, at most `limit`. */
export async function eventsAfter(
  db: Db,
  scope: Scope,
  jobId: string,
  seq: number,
  limit: number,
): Promise<JobEventRow[]> {
  return (await eventsAfterEach(db, scope, [{ jobId, after: seq }], limit))[0] ?? [];
}

/** The same for each of many different cursors, in their order, by a statement for hundreds. */
export async function eventsAfterEach(
  db: Db,
  scope: Scope,
  cursors: readonly EventsCursor[],
  limit: number,
): Promise<JobEventRow[][]> {
  const found = new Map<string, JobEventRow[]>();
  for (let start = 0; start < cursors.length; start += LARGEST) {
    const some = padded(cursors.slice(start, start + LARGEST));
    const [jobIds, seqs] = [some.map(({ jobId }) => jobId), some.map(({ after }) => after)];
    const { rows } = await selectAfter(db, { jobIds, seqs, limit, tenant: tenantOf(scope) });
    for (const [key, events] of grouped(rows, ({ job_id, after }) => keyOf(job_id, after)))
      found.set(key, events.map(eventFromRow));
  }
  return cursors.map(({ jobId, after }) => found.get(keyOf(jobId, after)) ?? []);
}

const NOBODY: EventsCursor = { jobId: '', after: 0 };

function padded(cursors: readonly EventsCursor[]): EventsCursor[] {
  const size = SIZES.find((one) => one >= cursors.length) ?? LARGEST;
  return [...cursors, ...Array.from({ length: size - cursors.length }, () => NOBODY)];
}

function keyOf(jobId: string, after: number): string {
  return `${after} ${jobId}`;
}
