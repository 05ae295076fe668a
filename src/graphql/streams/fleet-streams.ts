/** The instances and the queue, live. */
import type { Instance } from '../../domain/instance.ts';
import type { BusSignal } from '../../events/bus.ts';
import { instancesTopic, queueTopic } from '../../events/topics.ts';
import type { GraphqlContext } from '../context.ts';
import { queueStatus } from '../queue.ts';
import type { QueueStatus } from '../queue-status.ts';
import { SignalReader } from './signal-reader.ts';
import { type Push, stream } from './stream.ts';

/** All of them, then each that changes; one taken out of the fleet comes once more with removedAt. */
export function followInstances({
  services,
  loaders,
  turns,
}: GraphqlContext): AsyncIterableIterator<Instance> {
  const { bus } = services;
  return stream(turns, async (push, ended) => {
    const subscription = await bus.subscribe([instancesTopic], { signal: ended });
    const sendAll = async () => sendEach(push, await loaders.fleet.load('fleet'));
    const hear = async (signal: BusSignal) => {
      if (signal.kind === 'gap') return sendAll();
      if (signal.kind !== 'instance') return;
      const instance = await loaders.instance.load(signal.instanceId);
      if (instance) await push(instance);
    };
    try {
      await sendAll();
      for (;;) {
        const { value, done } = await subscription.next();
        if (done) return;
        await hear(value);
      }
    } finally {
      subscription.close();
    }
  });
}

async function sendEach<T>(push: Push<T>, values: readonly T[]): Promise<void> {
  for (const value of values) await push(value);
}

const QUEUE_INTERVAL_MS = 1000;

/** The queue now, then whenever it or the fleet changes, at most once a second. */
export function followQueue(context: GraphqlContext): AsyncIterableIterator<QueueStatus> {
  const { bus, clock } = context.services;
  return stream(context.turns, async (push, ended) => {
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
