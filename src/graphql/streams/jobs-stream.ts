/** Many jobs, live: those that run now, then every change of a job that matches the filter before or after the change. */

import type { Job, JobStatus } from '../../domain/job.ts';
import type { DurableEvent } from '../../domain/job-event.ts';
import { type JobFilter, matches } from '../../domain/job-filter.ts';
import { hasEnded } from '../../domain/job-states.ts';
import type { BusSignal } from '../../events/bus.ts';
import type { JobMessage } from '../../events/messages.ts';
import { jobsTopic } from '../../events/topics.ts';
import { assertNever } from '../../lib/assert.ts';
import { findJob, type JobCursor, pageJobs } from '../../store/jobs.ts';
import type { GraphqlContext } from '../context.ts';
import { refreshed, type Snapshot, withLive } from './merge-live.ts';
import { type Push, stream } from './stream.ts';

const PAGE = 100;

export function followJobs(context: GraphqlContext, filter: JobFilter): AsyncIterableIterator<Snapshot> {
  return stream(context.shutdown, (push, ended) => new JobsFollower(context, filter, push).run(ended));
}

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

class JobsFollower {
  readonly #context: GraphqlContext;
  readonly #filter: JobFilter;
  readonly #push: Push<Snapshot>;
  /** Last snapshots of jobs that run: at most as many as the fleet has places. */
  readonly #running = new Map<string, Snapshot>();

  constructor(context: GraphqlContext, filter: JobFilter, push: Push<Snapshot>) {
    this.#context = context;
    this.#filter = filter;
    this.#push = push;
  }

  async run(ended: AbortSignal): Promise<void> {
    const { services, viewer } = this.#context;
    const subscription = await services.bus.subscribe([jobsTopic(viewer.tenant)], { signal: ended });
    try {
      await this.#snapshot(ended);
      for (;;) {
        const { value, done } = await subscription.next();
        if (done) return;
        await this.#hear(value, ended);
      }
    } finally {
      subscription.close();
    }
  }

  /** What runs now; after a gap also what stopped running unheard. */
  async #snapshot(ended: AbortSignal): Promise<void> {
    const { services, viewer } = this.#context;
    const unheard = new Set(this.#running.keys());
    const { status } = this.#filter;
    const filter = { ...this.#filter, status: (status ?? ['PROCESSING']).filter((s) => s === 'PROCESSING') };
    let after: JobCursor | undefined;
    do {
      const page = await pageJobs(services.store.db, viewer, { filter, first: PAGE, after });
      const latest = await services.bus.latest(page.jobs.map(({ id }) => id));
      for (const job of page.jobs) {
        unheard.delete(job.id);
        const live = latest.get(job.id);
        await this.#send(refreshed(live ? { ...job, live } : null, job));
        if (ended.aborted) return;
      }
      after = page.hasNext ? page.jobs.at(-1) : undefined;
    } while (after);
    for (const id of unheard) await this.#reread(id, () => true);
  }

  async #hear(signal: BusSignal, ended: AbortSignal): Promise<void> {
    if (signal.kind === 'gap') return this.#snapshot(ended);
    if (signal.kind !== 'job') return;
    const { change, jobId } = signal;
    switch (change.type) {
      case 'deleted':
        this.#running.delete(jobId);
        return;
      case 'durable': {
        const known = this.#running.get(jobId);
        if (known && signal.seq <= known.seq) return;
        return this.#reread(jobId, (job) => concerns(this.#filter, job, change.event));
      }
      case 'progress':
      case 'preview':
        return this.#hearLive(signal);
      default:
        return;
    }
  }

  async #hearLive({ jobId, change }: JobMessage): Promise<void> {
    const known = this.#running.get(jobId);
    const merged = known && withLive(known, change);
    if (merged) await this.#send(merged);
  }

  async #reread(jobId: string, wanted: (job: Job) => boolean): Promise<void> {
    const { services, viewer } = this.#context;
    const job = await findJob(services.store.db, viewer, jobId);
    if (!job || !wanted(job)) {
      this.#running.delete(jobId);
      return;
    }
    await this.#send(refreshed(this.#running.get(jobId) ?? null, job));
  }

  async #send(view: Snapshot): Promise<void> {
    if (view.status === 'PROCESSING' && matches(this.#filter, view)) this.#running.set(view.id, view);
    else this.#running.delete(view.id);
    await this.#push(view);
    if (hasEnded(view.status)) this.#running.delete(view.id);
  }
}
