/**
 * One job, live: a snapshot, then every change, until it has ended or is gone. It listens before it reads the row, so
 * nothing falls between; after a gap it reads the row again and tells what has changed. While the job waits, a change of
 * its place alone is sent at most every two seconds.
 */
import { hasEnded } from '../../domain/job-states.ts';
import type { BusSignal } from '../../events/bus.ts';
import type { JobMessage } from '../../events/messages.ts';
import { instancesTopic, jobTopic, queueTopic } from '../../events/topics.ts';
import type { GraphqlContext } from '../context.ts';
import type { Place } from '../place-board.ts';
import { isSame, refreshed, type Snapshot, withLatest, withLive } from './merge-live.ts';
import { SignalReader } from './signal-reader.ts';
import { type Push, stream } from './stream.ts';

const PLACE_INTERVAL_MS = 2000;

export function followJob(context: GraphqlContext, jobId: string): AsyncIterableIterator<Snapshot> {
  return stream(context, (push) => {
    const follower = new JobFollower(context, jobId, push);
    return (ended) => follower.run(ended);
  });
}

class JobFollower {
  readonly #context: GraphqlContext;
  readonly #jobId: string;
  readonly #push: Push<Snapshot>;
  #view: Snapshot | null = null;
  #place: Place | null = null;
  /** Monotonic ms; null while nothing hints at a change of place. */
  #placeDueAt: number | null = null;
  #placeSentAt = 0;

  constructor(context: GraphqlContext, jobId: string, push: Push<Snapshot>) {
    this.#context = context;
    this.#jobId = jobId;
    this.#push = push;
  }

  async run(ended: AbortSignal): Promise<void> {
    const { bus, clock } = this.#context.services;
    const topics = [jobTopic(this.#jobId), queueTopic, instancesTopic];
    const subscription = await bus.subscribe(topics, { signal: ended });
    const reader = new SignalReader(subscription, clock);
    try {
      let open = await this.#snapshot();
      while (open) {
        const signal = await reader.next(this.#placeDueAt);
        if (signal === null) return;
        open = signal === 'due' ? await this.#sendPlace() : await this.#hear(signal);
      }
    } finally {
      subscription.close();
    }
  }

  /** The row with what is live of it, unless that is what was sent last; false once there is nothing more to come. */
  async #snapshot(): Promise<boolean> {
    const { loaders } = this.#context;
    const latest = await loaders.latest.load(this.#jobId);
    const job = await loaders.job.load(this.#jobId);
    if (!job) return false;
    const before = this.#view;
    const view = withLatest(refreshed(before, job), latest);
    if (before && isSame(before, view)) this.#expectPlace();
    else await this.#show(view);
    return !hasEnded(job.status);
  }

  async #reread(): Promise<boolean> {
    const job = await this.#context.loaders.job.load(this.#jobId);
    if (!job) return false;
    await this.#show(refreshed(this.#view, job));
    return !hasEnded(job.status);
  }

  async #show(view: Snapshot): Promise<void> {
    this.#view = view;
    this.#placeSentAt = this.#context.services.clock.monotonic();
    if (view.status !== 'PENDING') this.#placeDueAt = null;
    await this.#push(view);
  }

  async #hear(signal: BusSignal): Promise<boolean> {
    if (signal.kind === 'gap') return this.#snapshot();
    if (signal.kind !== 'job' || signal.change.type === 'queue') {
      this.#expectPlace();
      return true;
    }
    if (signal.change.type === 'deleted') return false;
    // One reading of the row may already have covered this event.
    if (signal.change.type === 'durable') return this.#knows(signal) || this.#reread();
    return this.#hearLive(signal);
  }

  async #hearLive(signal: JobMessage): Promise<boolean> {
    // It overtook the event before it, or that was lost.
    if (!this.#knows(signal) && !(await this.#reread())) return false;
    const merged = this.#view && withLive(this.#view, signal);
    if (merged) {
      this.#view = merged;
      await this.#push(merged);
    }
    return true;
  }

  #knows({ seq }: JobMessage): boolean {
    return this.#view !== null && seq <= this.#view.seq;
  }

  #expectPlace(): void {
    if (this.#view?.status !== 'PENDING') return;
    this.#placeDueAt ??= this.#placeSentAt + PLACE_INTERVAL_MS;
  }

  async #sendPlace(): Promise<boolean> {
    const { places, services } = this.#context;
    const view = this.#view;
    this.#placeDueAt = null;
    if (view?.status !== 'PENDING') return true;
    const place = await places.read({ jobId: view.id, needsKey: view.needsKey });
    this.#placeSentAt = services.clock.monotonic();
    const changed = place?.position !== this.#place?.position || place?.blockedBy !== this.#place?.blockedBy;
    if (!place || !changed) return true;
    this.#place = place;
    await this.#push({ ...view, place });
    return true;
  }
}
