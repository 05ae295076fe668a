/** The part of the recorder that takes in what a running attempt produces, piece by piece. */

import type { Job } from '../domain/job.ts';
import type { Output } from '../domain/output.ts';
import { shared } from '../store/engine-sql.ts';
import type { Db } from '../store/open.ts';
import { outputFromRow, outputToRow } from '../store/rows.ts';
import type { OutputsTable } from '../store/schema.ts';
import { statement } from '../store/statement.ts';
import type { Announcer } from './announce.ts';
import { changeJob, guarded, type RecorderParts, refuse } from './job-writes.ts';

export type NewOutput = Omit<Output, 'id' | 'jobId' | 'attemptId' | 'tenant' | 'createdAt'>;

/**
 * Answers the output, also when it was there already; null when the attempt is not this term's, not open, or its job no
 * longer runs. The blob must be pinned until this has resolved.
 */
export type OutputWriter = (attemptId: string, term: number, output: NewOutput) => Promise<Output | null>;

export function createOutputWriter(parts: RecorderParts, announcer: Announcer): OutputWriter {
  return async (attemptId, term, output) => {
    const now = parts.clock.now();
    // Relaxed: the instance lists its outputs to the next process, and the commit that completes the job syncs them with it.
    const done = await guarded(
      parts,
      'output',
      async (tx) => {
        const [attempt] = (await selectOpenAttempt(tx, { attemptId, term })).rows;
        if (!attempt) refuse();
        const row = outputToRow({ ...output, ...attempt, attemptId, id: parts.ids(), createdAt: now });
        const known = await insertOnce(tx, row);
        if (known) return { output: known, job: null };
        const event = { type: 'output', outputId: row.id } as const;
        const job = await changeJob(tx, { jobId: attempt.jobId, from: ['PROCESSING'], set: {}, event, now });
        if (!job) refuse();
        return { output: outputFromRow(row), job };
      },
      'relaxedAlone',
    );
    if (done?.job) announce(announcer, done.job, done.output.id);
    return done?.output ?? null;
  };
}

function announce(announcer: Announcer, job: Job, outputId: string): void {
  announcer.announce({ job, event: { type: 'output', outputId } });
}

/** Nobody ends it until the transaction is over: else its job might run again by then, and show what is not its own. */
const selectOpenAttempt = statement((q, p: { attemptId: string; term: number }) =>
  q
    .selectFrom('attempts')
    .select(['job_id as jobId', 'tenant'])
    .where('id', '=', p.attemptId)
    .where('term', '=', p.term)
    .where('outcome', 'is', null)
    .modifyEnd(shared(q)),
);

const insertOutput = statement((q, row: OutputsTable) =>
  q
    .insertInto('outputs')
    .values(row)
    .onConflict((conflict) => conflict.columns(['attempt_id', 'node', 'ordinal']).doNothing()),
);

/** Undefined when the row is new; the earlier one when this attempt's node gave this output before. */
async function insertOnce(tx: Db, row: OutputsTable): Promise<Output | undefined> {
  const { numAffectedRows = 0n } = await insertOutput(tx, row);
  if (numAffectedRows > 0n) return undefined;
  const earlier = await tx
    .selectFrom('outputs')
    .selectAll()
    .where('attempt_id', '=', row.attempt_id)
    .where('node', '=', row.node)
    .where('ordinal', '=', row.ordinal)
    .executeTakeFirstOrThrow();
  return outputFromRow(earlier);
}
