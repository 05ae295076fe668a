/** The noun QueueStatus: the queue as a whole. */
import type { Builder } from './builder.ts';
import type { GraphqlContext } from './context.ts';
import { globalId } from './global-id.ts';
import type { QueueStatus } from './queue-status.ts';
import type { Refs } from './refs.ts';

/** A gateway that shuts down takes no more, however short its queue is. */
export async function queueStatus({ loaders, shutdown }: GraphqlContext): Promise<QueueStatus> {
  const status = await loaders.queue.load('fleet');
  return shutdown.aborted ? { ...status, accepting: false } : status;
}

export function addQueue(builder: Builder, refs: Refs): void {
  builder.objectType(refs.QueueStatus, {
    description: 'The queue as a whole, of all who share the fleet.',
    fields: (t) => ({
      id: t.id({
        description: 'Opaque id; there is one queue.',
        resolve: () => globalId('QueueStatus', 'all'),
      }),
      pending: t.exposeInt('pending', { description: 'Jobs that wait.' }),
      processing: t.exposeInt('processing', { description: 'Jobs that instances have.' }),
      capacity: t.exposeInt('capacity', {
        description: 'Jobs that may run at once on the instances that take work now.',
      }),
      oldestPendingMs: t.exposeFloat('oldestPendingMs', {
        nullable: true,
        description: 'How long the longest waiting job has waited, in ms; null when none waits.',
      }),
      estimatedDrainMs: t.exposeFloat('estimatedDrainMs', {
        nullable: true,
        description: 'Estimated time until nothing waits or runs, in ms; null while nothing is known.',
      }),
      accepting: t.exposeBoolean('accepting', { description: 'A job submitted now would be taken.' }),
    }),
  });
  builder.queryField('queue', (t) =>
    t.field({
      type: refs.QueueStatus,
      description: 'The queue now.',
      resolve: (_root, _args, context) => queueStatus(context),
    }),
  );
}
