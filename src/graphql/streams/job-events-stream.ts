/**
 * What happens to one job, in order: kept events after the cursor, then live ones. Kept events are numbered without
 * gaps, so a missing or repeated number on the bus shows, and the rows fill it. Ends after the job's last event.
 */
import type { JobEventRow } from '../../domain/job-event.ts';
import { hasEnded } from '../../domain/job-states.ts';
import type { BusSignal } from '../../events/bus.ts';
import type { JobMessage } from '../../events/messages.ts';
import { jobTopic } from '../../events/topics.ts';
import type { GraphqlContext } from '../context.ts';
import { isLast, type JobEventView, jobEventView } from '../job-event-view.ts';
import { EVENTS_PAGE } from '../loaders.ts';
import { type Push, stream } from './stream.ts';

/** `after`: the number of the last kept event the client has; 0 for none. */
export function followJobEvents(
  context: GraphqlContext,
  jobId: string,
  after: number,
): AsyncIterableIterator<JobEventView> {
  return stream(context, (push) => {
    const follower = new EventFollower(context, jobId, after, push);
    return (ended) => follower.run(ended);
  });
}

class EventFollower {
  readonly #context: GraphqlContext;
  readonly #jobId: string;
  readonly #push: Push<JobEventView>;
  #seq: number;
  /** Number of the event with which the newest attempt began. */
  #startedSeq = 0;

  constructor(context: GraphqlContext, jobId: string, after: number, push: Push<JobEventView>) {
    this.#context = context;
    this.#jobId = jobId;
    this.#seq = after;
    this.#push = push;
  }

  async run(ended: AbortSignal): Promise<void> {
    const { services, loaders } = this.#context;
    const subscription = await services.bus.subscribe([jobTopic(this.#jobId)], { signal: ended });
    try {
      let open = await this.#replay();
      const job = open ? await loaders.job.load(this.#jobId) : null;
      // The client may have had the last event already.
      if (!job || (hasEnded(job.status) && job.seq <= this.#seq)) return;
      while (open) {
        const { value, done } = await subscription.next();
        if (done) return;
        open = await this.#hear(value);
      }
    } finally {
      subscription.close();
    }
  }

  /** Sends the kept events after the last one sent; false when the job's last event was among them. */
  async #replay(): Promise<boolean> {
    const { events } = this.#context.loaders;
    for (;;) {
      const rows = await events.load({ jobId: this.#jobId, after: this.#seq });
      for (const row of rows) {
        if (!(await this.#send(row))) return false;
      }
      if (rows.length < EVENTS_PAGE) return true;
    }
  }

  async #hear(signal: BusSignal): Promise<boolean> {
    if (signal.kind === 'gap') return (await this.#replay()) && (await this.#exists());
    if (signal.kind !== 'job') return true;
    if (signal.change.type === 'deleted') return false;
    if (signal.change.type === 'durable') return this.#hearKept(signal);
    // Live news that overtook its kept event waits for it.
    if (signal.seq > this.#seq && !(await this.#replay())) return false;
    // News of an attempt that is over came late.
    if (signal.seq < this.#startedSeq) return true;
    await this.#push(jobEventView(this.#jobId, this.#seq, signal.at, signal.change));
    return true;
  }

  /** That it was deleted may have been lost too. */
  async #exists(): Promise<boolean> {
    return (await this.#context.loaders.job.load(this.#jobId)) !== null;
  }

  async #hearKept({ seq, at, tenant, change }: JobMessage): Promise<boolean> {
    if (change.type !== 'durable' || seq <= this.#seq) return true;
    if (seq !== this.#seq + 1) return this.#replay();
    return this.#send({ jobId: this.#jobId, tenant, seq, at, event: change.event });
  }

  async #send({ seq, at, event }: JobEventRow): Promise<boolean> {
    const view = jobEventView(this.#jobId, seq, at, event);
    const output =
      event.type === 'output' ? await this.#context.loaders.output.load(event.outputId) : undefined;
    // counted once all of it is read: what fails before that is read again
    this.#seq = seq;
    if (output !== null) await this.#push(output ? { ...view, output } : view);
    return !isLast(event);
  }
}
