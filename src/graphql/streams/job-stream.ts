/**
 * One job, live: a snapshot, then every change, until it has ended or is gone. It listens before it reads the row, so
 * nothing falls between; after a gap it reads the row again and tells what has changed. While the job waits, a change of
 * its place alone is told by the place board, at most every two seconds.
 */
import { hasEnded } from '../../domain/job-states.ts';
import type { BusSignal } from '../../events/bus.ts';
import type { JobMessage } from '../../events/messages.ts';
import { jobTopic } from '../../events/topics.ts';
import type { GraphqlContext } from '../context.ts';
import type { Place } from '../place-board.ts';
import { isSame, refreshed, type Snapshot, withLatest, withLive } from './merge-live.ts';
import { SignalReader } from './signal-reader.ts';
import { type Push, stream } from './stream.ts';

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
  /** Where it stands by now; null when that was sent. */
  #moved: Place | null = null;
  #unwatch: (() => void) | null = null;
  #onMoved: (place: Place) => void = () => undefined;

  constructor(context: GraphqlContext, jobId: string, push: Push<Snapshot>) {
    this.#context = context;
    this.#jobId = jobId;
    this.#push = push;
  }

  async run(ended: AbortSignal): Promise<void> {
    const { bus, clock } = this.#context.services;
    const subscription = await bus.subscribe([jobTopic(this.#jobId)], { signal: ended });
    const reader = new SignalReader(subscription, clock);
    this.#onMoved = (place) => {
      this.#moved = place;
      reader.nudge();
    };
    try {
      let open = await this.#snapshot();
      while (open) {
        const signal = await reader.next();
        if (signal === null) return;
        open = signal === 'due' ? await this.#sendPlace() : await this.#hear(signal);
      }
    } finally {
      subscription.close();
      this.#watch(false);
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
    if (!before || !isSame(before, view)) await this.#show(view);
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
    this.#watch(view.status === 'PENDING');
    await this.#push(view);
  }

  async #hear(signal: BusSignal): Promise<boolean> {
    if (signal.kind === 'gap') return this.#snapshot();
    if (signal.kind !== 'job') return true;
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

  #watch(waits: boolean): void {
    const { places } = this.#context;
    if (waits && this.#view) this.#unwatch ??= places.watch(this.#view, (place) => this.#onMoved(place));
    if (waits) return;
    this.#unwatch?.();
    this.#unwatch = null;
    this.#moved = null;
  }

  async #sendPlace(): Promise<boolean> {
    const place = this.#moved;
    this.#moved = null;
    if (place && this.#view?.status === 'PENDING') await this.#push({ ...this.#view, place });
    return true;
  }
}
