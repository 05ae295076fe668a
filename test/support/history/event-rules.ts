/** I6 for the store: the event log of each job, and that it tells the same as the rows of the job and its attempts. */
import type { JobStatus } from '../../../src/domain/job.ts';
import type { DurableEvent } from '../../../src/domain/job-event.ts';
import { jobMayBecome } from '../../../src/domain/job-states.ts';
import { type History, isEnded, type JobHistory, type Violation } from './evidence.ts';

export function eventRules({ jobs }: History): Violation[] {
  return jobs.flatMap((one) =>
    [...numbers(one), ...statuses(one), ...ofAttempts(one)].map((evidence) => ({
      invariant: 'I6',
      jobId: one.job.id,
      evidence,
    })),
  );
}

function* numbers({ job, events }: JobHistory): Generator<string> {
  const seqs = events.map(({ seq }) => seq);
  if (seqs.some((seq, index) => seq !== index + 1)) yield `its events are numbered ${seqs.join(', ')}`;
  if (job.seq !== (seqs.at(-1) ?? 0)) yield `its newest event is ${seqs.at(-1)}, the job says ${job.seq}`;
  const ends = events.filter(({ event }) => event.type === 'finished' || event.type === 'canceled');
  if (ends.length !== (isEnded(job.status) ? 1 : 0))
    yield `${job.status} with ${ends.length} terminal events`;
  if (ends[0] && ends[0] !== events.at(-1)) yield `its terminal event is number ${ends[0].seq}, not the last`;
}

function statusAfter(event: DurableEvent): JobStatus | null {
  switch (event.type) {
    case 'queued':
    case 'retried':
      return 'PENDING';
    case 'started':
      return 'PROCESSING';
    case 'output':
      return null;
    case 'canceled':
      return 'CANCELED';
    case 'finished':
      return event.status;
  }
}

/** Replays the log against the table of states. */
function* statuses({ job, events }: JobHistory): Generator<string> {
  if (events.length > 0 && events[0]?.type !== 'queued') yield `its log begins with ${events[0]?.type}`;
  let status: JobStatus = 'PENDING';
  for (const { seq, event } of events.slice(1)) {
    const next = statusAfter(event);
    const allowed = next === null ? status === 'PROCESSING' : jobMayBecome(status, next);
    if (!allowed) yield `event ${seq} (${event.type}) cannot follow while it is ${status}`;
    status = next ?? status;
  }
  if (status !== job.status) yield `its log ends in ${status}, the job is ${job.status}`;
}

function* ofAttempts({ job, attempts, events }: JobHistory): Generator<string> {
  if (attempts.some(({ number }, index) => number !== index + 1)) {
    yield `its attempts are numbered ${attempts.map(({ number }) => number).join(', ')}`;
  }
  const of = (type: 'started' | 'retried'): string[] =>
    events.flatMap(({ event }) => (event.type === type ? [event.attemptId] : []));
  const made = attempts.map(({ id }) => id);
  if (of('started').join() !== made.join()) {
    yield `started events of ${of('started').join(', ')}, attempts ${made.join(', ')}`;
  }
  const givenUp = attempts.filter(({ state }) => state === 'LOST' || state === 'FAILED').map(({ id }) => id);
  // The last one may have decided the job, which is told by `finished`.
  const retried = new Set(of('retried'));
  if (retried.size !== of('retried').length) yield 'an attempt was retried twice';
  for (const [index, id] of givenUp.entries()) {
    const decided = job.status === 'FAILED' && index === givenUp.length - 1 && id === made.at(-1);
    if (!retried.delete(id) && !decided) yield `attempt ${id} was given up, and no event says so`;
  }
  if (retried.size > 0) yield `retried events of ${[...retried].join(', ')}, which were not given up`;
}
