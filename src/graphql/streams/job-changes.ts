/** Which jobs a subscriber with a filter wants to see: by what just happened to one, and by what happened unheard. */
import type { Job, JobStatus } from '../../domain/job.ts';
import type { DurableEvent } from '../../domain/job-event.ts';
import { type JobFilter, matches } from '../../domain/job-filter.ts';
import { assertNever } from '../../lib/assert.ts';
import { type ChangeCursor, endedSince, waitingSince } from '../../store/job-changes.ts';
import type { GraphqlContext } from '../context.ts';

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

/** Jobs that came to wait or ended since (epoch ms) and matched before or after one of their changes since then. */
export async function* unheardChanges(
  context: GraphqlContext,
  filter: JobFilter,
  since: number,
): AsyncGenerator<Job, void> {
  const { services, viewer } = context;
  const anyStatus = { ...filter, status: undefined };
  for (const read of [endedSince, waitingSince]) {
    let after: ChangeCursor | null = { at: since, id: '' };
    while (after) {
      const jobs: Job[] = await read(services.store.db, viewer, anyStatus, after, PAGE);
      for (const job of jobs) {
        if (await concernedSince(context, filter, job, since)) yield job;
      }
      const last = jobs.length === PAGE ? jobs.at(-1) : undefined;
      after = last ? { at: last.finishedAt ?? last.updatedAt, id: last.id } : null;
    }
  }
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
