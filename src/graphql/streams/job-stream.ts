/**
 * One job, live: a snapshot, then every change, until it has ended or is gone. It listens before it reads the row, so
 * nothing falls between. While the job waits, a change of its place alone is sent at most every two seconds.
 */
import { hasEnded } from '../../domain/job-states.ts';
import type { BusSignal, Latest } from '../../events/bus.ts';
import { instancesTopic, jobTopic, queueTopic } from '../../events/topics.ts';
import type { GraphqlContext } from '../context.ts';
import type { Place } from '../place-board.ts';
import { refreshed, type Snapshot, withLive } from './merge-live.ts';
import { SignalReader } from './signal-reader.ts';
import { type Push, stream } from './stream.ts';

const PLACE_INTERVAL_MS = 2000;

export function followJob(context: GraphqlContext, jobId: string): AsyncIterableIterator<Snapshot> {
  return stream(context.turns, (push, ended) => new JobFollower(context, jobId, push).run(ended));
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

  /** The row with what is live of it; false once there is nothing more to come. */
  async #snapshot(): Promise<boolean> {
    const latest = (await this.#context.services.bus.latest([this.#jobId])).get(this.#jobId);
    return this.#reread(latest);
  }

  async #reread(latest?: Latest): Promise<boolean> {
    const { services, loaders } = this.#context;
    const job = await loaders.job.load(this.#jobId);
    if (!job) return false;
    const view = refreshed(this.#view, job);
    this.#view = latest && job.status === 'PROCESSING' ? { ...view, live: latest } : view;
    this.#placeSentAt = services.clock.monotonic();
    if (job.status !== 'PENDING') this.#placeDueAt = null;
    await this.#push(this.#view);
    return !hasEnded(job.status);
  }

  async #hear(signal: BusSignal): Promise<boolean> {
    if (signal.kind === 'gap') return this.#snapshot();
    if (signal.kind !== 'job' || signal.change.type === 'queue') {
      this.#expectPlace();
      return true;
    }
    const { change } = signal;
    if (change.type === 'deleted') return false;
    // One reading of the row may already have covered this event.
    if (change.type === 'durable') return this.#view && signal.seq <= this.#view.seq ? true : this.#reread();
    const merged = this.#view && withLive(this.#view, change);
    if (merged) {
      this.#view = merged;
      await this.#push(merged);
    }
    return true;
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
