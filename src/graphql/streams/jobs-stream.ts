/** Many jobs, live: those that run now, then every change of a job that matches the filter before or after the change. */

import type { Job } from '../../domain/job.ts';
import type { JobFilter } from '../../domain/job-filter.ts';
import { matches } from '../../domain/job-filter.ts';
import { hasEnded } from '../../domain/job-states.ts';
import type { BusSignal } from '../../events/bus.ts';
import type { JobMessage } from '../../events/messages.ts';
import { jobsTopic } from '../../events/topics.ts';
import type { JobCursor } from '../../store/jobs.ts';
import type { GraphqlContext } from '../context.ts';
import { NOTHING_LIVE } from '../job-view.ts';
import { concerns, unheardChanges } from './job-changes.ts';
import { isSame, refreshed, type Snapshot, withLatest, withLive } from './merge-live.ts';
import { RecentSeqs } from './recent-seqs.ts';
import { type Push, stream } from './stream.ts';

const PAGE = 100;
/**
 * A change is dated when its writing begins, and seen once that is committed. On a store in trouble that is late: it waits
 * up to 5 s for a connection, and then each statement, the COMMIT too, may take up to 15 s before it has failed. All of them
 * so slow and all succeeding is not reckoned with.
 */
const LATE_MS = 30_000;

export function followJobs(context: GraphqlContext, filter: JobFilter): AsyncIterableIterator<Snapshot> {
  return stream(context, (push) => {
    const follower = new JobsFollower(context, filter, push);
    return (ended) => follower.run(ended);
  });
}

class JobsFollower {
  readonly #context: GraphqlContext;
  readonly #filter: JobFilter;
  readonly #push: Push<Snapshot>;
  /** Last snapshots of jobs that run: at most as many as the fleet has places. */
  readonly #running = new Map<string, Snapshot>();
  /** What was sent lately, so that a re-reading after a gap does not repeat it. */
  readonly #sent = new RecentSeqs();
  /** Epoch ms: what changed before it was heard. */
  #heardUntil: number;
  /** Those that run were sent once. */
  #begun = false;

  constructor(context: GraphqlContext, filter: JobFilter, push: Push<Snapshot>) {
    this.#context = context;
    this.#filter = filter;
    this.#push = push;
    this.#heardUntil = context.services.clock.now();
  }

  async run(ended: AbortSignal): Promise<void> {
    const { services, viewer } = this.#context;
    const subscription = await services.bus.subscribe([jobsTopic(viewer.tenant)], { signal: ended });
    try {
      if (this.#begun) await this.#catchUp(ended);
      else await this.#sendRunning(ended, new Map(this.#running));
      this.#begun = true;
      for (;;) {
        const { value, done } = await subscription.next();
        if (done) return;
        await this.#hear(value, ended);
      }
    } finally {
      subscription.close();
    }
  }

  /** Those that run, without what was sent of them before already. */
  async #sendRunning(ended: AbortSignal, before: ReadonlyMap<string, Snapshot>): Promise<void> {
    const { loaders } = this.#context;
    const { status } = this.#filter;
    const filter = { ...this.#filter, status: (status ?? ['PROCESSING']).filter((s) => s === 'PROCESSING') };
    let after: JobCursor | undefined;
    do {
      const page = await loaders.jobPage.load({ filter, first: PAGE, after });
      const latest = await Promise.all(page.jobs.map(({ id }) => loaders.latest.load(id)));
      for (const [index, job] of page.jobs.entries()) {
        const known = before.get(job.id) ?? null;
        const view = withLatest(refreshed(known, job), latest[index] ?? NOTHING_LIVE);
        if (known && isSame(known, view)) this.#running.set(view.id, view);
        else await this.#send(view);
        if (ended.aborted) return;
      }
      const last = page.hasNext ? page.jobs.at(-1) : undefined;
      after = last && { createdAt: last.createdAt, id: last.id };
    } while (after);
  }

  /** What runs now, what stopped running unheard, and what came or ended unheard. */
  async #catchUp(ended: AbortSignal): Promise<void> {
    const { clock } = this.#context.services;
    const since = this.#heardUntil - LATE_MS;
    const until = clock.now();
    const unheard = await unheardChanges(this.#context, this.#filter, since);
    const before = new Map(this.#running);
    this.#running.clear();
    try {
      await this.#sendRunning(ended, before);
      for (const id of before.keys()) {
        if (!this.#running.has(id)) await this.#reread(id, () => true);
        before.delete(id);
      }
    } finally {
      // where reading failed, the next catching up must still know of them
      for (const [id, view] of before) if (!this.#running.has(id)) this.#running.set(id, view);
    }
    for await (const job of unheard) {
      if (ended.aborted) return;
      if (!this.#sent.has(job.id, job.seq)) await this.#send(refreshed(null, job));
    }
    this.#heardUntil = Math.max(this.#heardUntil, until);
  }

  async #hear(signal: BusSignal, ended: AbortSignal): Promise<void> {
    if (signal.kind === 'gap') return this.#catchUp(ended);
    if (signal.kind !== 'job') return;
    const { change, jobId, seq } = signal;
    switch (change.type) {
      case 'deleted':
        this.#running.delete(jobId);
        return;
      case 'durable':
        this.#heardUntil = Math.max(this.#heardUntil, signal.at);
        // one reading of the row may already have covered this event
        if (this.#sent.has(jobId, seq)) return;
        return this.#reread(jobId, (job) => concerns(this.#filter, job, change.event), startedSeq(signal));
      case 'progress':
      case 'preview':
        return this.#hearLive(signal);
      default:
        return;
    }
  }

  async #hearLive(news: JobMessage): Promise<void> {
    // It overtook the event before it, or that was lost.
    if (news.seq > (this.#running.get(news.jobId)?.seq ?? news.seq))
      await this.#reread(news.jobId, () => true);
    const known = this.#running.get(news.jobId);
    const merged = known && withLive(known, news);
    if (merged) await this.#send(merged);
  }

  async #reread(jobId: string, wanted: (job: Job) => boolean, started = 0): Promise<void> {
    const job = await this.#context.loaders.job.load(jobId);
    if (!job || !wanted(job)) {
      this.#running.delete(jobId);
      return;
    }
    await this.#send(refreshed(this.#running.get(jobId) ?? null, job, started));
  }

  async #send(view: Snapshot): Promise<void> {
    if (view.status === 'PROCESSING' && matches(this.#filter, view)) this.#running.set(view.id, view);
    else this.#running.delete(view.id);
    this.#sent.add(view.id, view.seq);
    await this.#push(view);
    if (hasEnded(view.status)) this.#running.delete(view.id);
  }
}

/** Of a new attempt; 0 for anything else. */
function startedSeq({ change, seq }: JobMessage): number {
  return change.type === 'durable' && change.event.type === 'started' ? seq : 0;
}
