/** The instances and the queue, live. */
import type { Instance } from '../../domain/instance.ts';
import { instancesTopic, queueTopic } from '../../events/topics.ts';
import type { GraphqlContext } from '../context.ts';
import { queueStatus } from '../queue.ts';
import type { QueueStatus } from '../queue-status.ts';
import { SignalReader } from './signal-reader.ts';
import { type Push, stream } from './stream.ts';

/** All of them, then each that changes; one taken out of the fleet comes once more with removedAt. */
export function followInstances(context: GraphqlContext): AsyncIterableIterator<Instance> {
  return stream(context, (push) => {
    const follower = new InstancesFollower(context, push);
    return (ended) => follower.run(ended);
  });
}

class InstancesFollower {
  readonly #context: GraphqlContext;
  readonly #push: Push<Instance>;
  /** When those that are in the fleet had changed last, as it was sent. */
  readonly #sent = new Map<string, number>();

  constructor(context: GraphqlContext, push: Push<Instance>) {
    this.#context = context;
    this.#push = push;
  }

  async run(ended: AbortSignal): Promise<void> {
    const subscription = await this.#context.services.bus.subscribe([instancesTopic], { signal: ended });
    try {
      await this.#sendChanged();
      for (;;) {
        const { value, done } = await subscription.next();
        if (done) return;
        if (value.kind === 'gap') await this.#sendChanged();
        else if (value.kind === 'instance') await this.#reread(value.instanceId);
      }
    } finally {
      subscription.close();
    }
  }

  /** Those that changed since they were sent, and those that are gone. */
  async #sendChanged(): Promise<void> {
    const gone = new Set(this.#sent.keys());
    for (const instance of await this.#context.loaders.fleet.load('fleet')) {
      gone.delete(instance.id);
      if (this.#sent.get(instance.id) !== instance.updatedAt) await this.#send(instance);
    }
    for (const id of gone) await this.#reread(id);
  }

  async #reread(id: string): Promise<void> {
    const instance = await this.#context.loaders.instance.load(id);
    if (instance) await this.#send(instance);
    else this.#sent.delete(id);
  }

  async #send(instance: Instance): Promise<void> {
    // one that is gone is told of once
    if (instance.removedAt !== null && !this.#sent.delete(instance.id)) return;
    if (instance.removedAt === null) this.#sent.set(instance.id, instance.updatedAt);
    await this.#push(instance);
  }
}

const QUEUE_INTERVAL_MS = 1000;

/** The queue now, then whenever it or the fleet changes, at most once a second. */
export function followQueue(context: GraphqlContext): AsyncIterableIterator<QueueStatus> {
  const { bus, clock } = context.services;
  return stream(context, (push) => async (ended) => {
    const subscription = await bus.subscribe([queueTopic, instancesTopic], { signal: ended });
    const reader = new SignalReader(subscription, clock);
    let sentAt = 0;
    const send = async () => {
      sentAt = clock.monotonic();
      await push(await queueStatus(context));
    };
    try {
      await send();
      let dueAt: number | null = null;
      for (;;) {
        const signal = await reader.next(dueAt);
        if (signal === null) return;
        if (signal !== 'due') {
          dueAt ??= sentAt + QUEUE_INTERVAL_MS;
          continue;
        }
        dueAt = null;
        await send();
      }
    } finally {
      subscription.close();
    }
  });
}
