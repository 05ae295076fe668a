/** Which jobs a subscriber with a filter wants to see: by what just happened to one, and by what happened unheard. */
import type { Job, JobStatus } from '../../domain/job.ts';
import type { DurableEvent } from '../../domain/job-event.ts';
import { type JobFilter, matches } from '../../domain/job-filter.ts';
import { assertNever } from '../../lib/assert.ts';
import type { ChangeCursor } from '../../store/job-changes.ts';
import type { GraphqlContext } from '../context.ts';
import type { ChangesKey } from '../loaders.ts';

const PAGE = 100;

/** The statuses the job may have had before the event. */
function statusesBefore(job: Job, event: DurableEvent): readonly JobStatus[] {
  switch (event.type) {
    case 'queued':
      return [];
    case 'started':
      return ['PENDING'];
    case 'output':
    case 'retried':
      return ['PROCESSING'];
    case 'finished':
      return job.error?.code === 'DEADLINE_EXCEEDED' ? ['PENDING'] : ['PROCESSING'];
    case 'canceled':
      return job.attemptCount === 0 ? ['PENDING'] : ['PENDING', 'PROCESSING'];
    default:
      return assertNever(event, 'event');
  }
}

/** Only its status tells a job that matched before from one that matches now. */
export function concerns(filter: JobFilter, job: Job, event: DurableEvent): boolean {
  return (
    matches(filter, job) || statusesBefore(job, event).some((status) => matches(filter, { ...job, status }))
  );
}

const KINDS = ['ended', 'waiting'] as const;

/**
 * Jobs that came to wait or ended since the moment (epoch ms) and matched before or after one of their changes since then.
 * Whole seconds are asked for, and the first page of each is read before anything is sent: so a crowd that missed the same
 * asks the same at the same time.
 */
export async function unheardChanges(
  context: GraphqlContext,
  filter: JobFilter,
  moment: number,
): Promise<AsyncGenerator<Job, void>> {
  const since = Math.floor(moment / 1000) * 1000;
  const anyStatus = { ...filter, status: undefined };
  const read = (kind: ChangesKey['kind'], after: ChangeCursor) =>
    context.loaders.changes.load({ kind, filter: anyStatus, after, limit: PAGE });
  const first = await Promise.all(KINDS.map((kind) => read(kind, { at: since, id: '' })));

  async function* all(): AsyncGenerator<Job, void> {
    for (const [index, kind] of KINDS.entries()) {
      let jobs: readonly Job[] = first[index] ?? [];
      for (;;) {
        const concerned = await Promise.all(jobs.map((job) => concernedSince(context, filter, job, since)));
        yield* jobs.filter((_, n) => concerned[n]);
        const last = jobs.length === PAGE ? jobs.at(-1) : undefined;
        if (!last) break;
        jobs = await read(kind, { at: last.finishedAt ?? last.updatedAt, id: last.id });
      }
    }
  }
  return all();
}

async function concernedSince(
  { loaders }: GraphqlContext,
  filter: JobFilter,
  job: Job,
  since: number,
): Promise<boolean> {
  if (matches(filter, job)) return true;
  const events = await loaders.events.load({ jobId: job.id, after: 0 });
  return events.some(({ at, event }) => at >= since && concerns(filter, job, event));
}
