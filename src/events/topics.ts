/** The names under which messages are heard: one job, all jobs of a tenant, instances, the queue, hints. */
import { assertNever } from '../lib/assert.ts';
import type { BusMessage } from './messages.ts';

declare const topicBrand: unique symbol;
/** A topic's name; made only here, so that no free-form string is listened to by mistake. */
export type Topic = string & { readonly [topicBrand]: true };

const topic = (name: string): Topic => name as Topic;

/** Everything about one job. */
export function jobTopic(jobId: string): Topic {
  return topic(`job:${jobId}`);
}

/** Everything about every job of one tenant. */
export function jobsTopic(tenant: string): Topic {
  return topic(`jobs:${tenant}`);
}

export const instancesTopic: Topic = topic('instances');
export const queueTopic: Topic = topic('queue');
export const hintsTopic: Topic = topic('hints');

/** Where a message is heard; a subscriber of several of its topics still gets it once. */
export function topicsOf(message: BusMessage): readonly Topic[] {
  switch (message.kind) {
    case 'job':
      return [jobTopic(message.jobId), jobsTopic(message.tenant)];
    case 'instance':
      return [instancesTopic];
    case 'queue':
      return [queueTopic];
    case 'hint':
      return [hintsTopic];
    default:
      return assertNever(message, 'bus message');
  }
}
