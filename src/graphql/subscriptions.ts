/** The subscriptions: what can be watched. Each sends the thing itself, as it stands first and then at every change. */
import type { Job } from '../domain/job.ts';
import type { Builder } from './builder.ts';
import { badInput, codedError } from './coded-error.ts';
import type { GraphqlContext } from './context.ts';
import { parseEventCursor } from './cursors.ts';
import { rawId } from './global-id.ts';
import { type JobFilterRef, jobFilterOf } from './job-filter.ts';
import type { Refs } from './refs.ts';
import { followInstances, followQueue } from './streams/fleet-streams.ts';
import { followJobEvents } from './streams/job-events-stream.ts';
import { followJob } from './streams/job-stream.ts';
import { followJobs } from './streams/jobs-stream.ts';

/** @throws NOT_FOUND when there is no such job. */
async function existing({ loaders }: GraphqlContext, id: string): Promise<Job> {
  const raw = rawId(id, 'Job');
  const job = raw === null ? null : await loaders.job.load(raw);
  if (!job) throw codedError('NOT_FOUND', 'there is no such job');
  return job;
}

export function addSubscriptions(builder: Builder, refs: Refs, JobFilter: JobFilterRef): void {
  builder.subscriptionFields((t) => ({
    job: t.field({
      type: refs.Job,
      description:
        'One job: as it stands, then at every change; completes once it has ended or was deleted. NOT_FOUND for an unknown id.',
      args: { id: t.arg.id({ required: true, description: 'Id of the job.' }) },
      subscribe: async (_root, { id }, context) => followJob(context, (await existing(context, id)).id),
      resolve: (job) => job,
    }),
    jobs: t.field({
      type: refs.Job,
      description: 'What runs now, then every change of a job that matches the filter before or after it.',
      args: { filter: t.arg({ type: JobFilter, description: 'Which jobs; all when absent.' }) },
      subscribe: (_root, { filter }, context) =>
        followJobs(context, jobFilterOf(filter, context.services.clock.now())),
      resolve: (job) => job,
    }),
    jobEvents: t.field({
      type: refs.JobEvent,
      description:
        'What happens to one job, in order; completes after its last event or when it is deleted. NOT_FOUND for an unknown id.',
      args: {
        id: t.arg.id({ required: true, description: 'Id of the job.' }),
        after: t.arg.string({
          description: 'Continue after the event of this cursor; from the start when absent.',
        }),
      },
      subscribe: async (_root, { id, after }, context) => {
        const job = await existing(context, id);
        const seq = typeof after === 'string' ? parseEventCursor(after) : 0;
        // Whoever waited behind a number that was never given would not hear what comes before it.
        if (seq === null || seq > job.seq) throw badInput('"after" is no cursor of an event of this job');
        return followJobEvents(context, job.id, seq);
      },
      resolve: (event) => event,
    }),
    instances: t.field({
      type: refs.Instance,
      description: 'Every instance, then each at every change; a removed one comes once more with removedAt.',
      subscribe: (_root, _args, context) => followInstances(context),
      resolve: (instance) => instance,
    }),
    queue: t.field({
      type: refs.QueueStatus,
      description: 'The queue now, then whenever it changes, at most once a second.',
      subscribe: (_root, _args, context) => followQueue(context),
      resolve: (status) => status,
    }),
  }));
}
