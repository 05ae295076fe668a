/** The noun Job: its fields and where they lead. Its own parts are in job-parts.ts. */
import type { Builder } from './builder.ts';
import type { GraphqlContext } from './context.ts';
import { globalId } from './global-id.ts';
import { inputsToWire } from './image-references.ts';
import { type JobView, progressOf, queueMs } from './job-view.ts';
import { waitingOf } from './places.ts';
import type { Refs } from './refs.ts';

export function addJob(builder: Builder, refs: Refs): void {
  builder.objectType(refs.Job, {
    description: 'One piece of work that a client submitted.',
    interfaces: [refs.Node],
    fields: (t) => ({
      id: t.id({ description: 'Opaque id.', resolve: (job) => globalId('Job', job.id) }),
      status: t.field({
        type: refs.JobStatus,
        description: 'Where it stands.',
        resolve: ({ status }) => status,
      }),
      workflow: t.exposeString('workflow', {
        description: 'Name of the workflow; "raw" for a graph that was submitted as is.',
      }),
      inputs: t.field({
        type: 'JSONObject',
        description: 'The inputs as submitted, files by reference, never as base64.',
        resolve: (job) => inputsToWire(job.inputs),
      }),
      priority: t.exposeInt('priority', { description: '1 to 10; 10 is served first.' }),
      labels: t.field({
        type: 'JSONObject',
        description: "The client's own labels.",
        resolve: ({ labels }) => labels,
      }),
      owner: t.exposeString('user', {
        nullable: true,
        description: 'The user who submitted it, when users are known.',
      }),
      createdAt: t.field({
        type: 'DateTime',
        description: 'When it was submitted.',
        resolve: (job) => job.createdAt,
      }),
      updatedAt: t.field({
        type: 'DateTime',
        description: 'When its row last changed.',
        resolve: (job) => job.updatedAt,
      }),
      startedAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'When it was first given to an instance.',
        resolve: (job) => job.startedAt,
      }),
      finishedAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'When it ended.',
        resolve: (job) => job.finishedAt,
      }),
      queueMs: t.float({
        nullable: true,
        description: 'Time it has waited for its first start, or waited in all if it never started; in ms.',
        resolve: (job, _args, { services }) => queueMs(job, services.clock.now()),
      }),
      runMs: t.float({
        nullable: true,
        description: 'Time on the instance, of the attempt that counted, in ms; null until it ended.',
        resolve: (job) => job.runMs,
      }),
    }),
  });
  addLiveFields(builder, refs);
  addEdges(builder, refs);
}

const liveOf = async (job: JobView, { loaders }: GraphqlContext) => job.live ?? loaders.latest.load(job.id);

function addLiveFields(builder: Builder, refs: Refs): void {
  builder.objectFields(refs.Job, (t) => ({
    progress: t.field({
      type: refs.JobProgress,
      description: 'How far it is.',
      resolve: async (job, _args, context) => {
        const live = job.status === 'PROCESSING' ? await liveOf(job, context) : (job.live ?? null);
        return { jobId: job.id, value: progressOf(job, live?.progress ?? null) };
      },
    }),
    queue: t.field({
      type: refs.QueuePlace,
      nullable: true,
      description: 'Its place in the queue; null once it has left the queue.',
      resolve: async (job, _args, { loaders }) => {
        if (job.status !== 'PENDING') return null;
        const place = job.place ?? (await loaders.place.load(waitingOf(job)));
        return place && { job, ...place };
      },
    }),
    preview: t.field({
      type: refs.Preview,
      nullable: true,
      description: 'The newest live preview picture; null when there is none, and once it has ended.',
      resolve: async (job, _args, context) => {
        if (job.status !== 'PROCESSING') return null;
        const { preview } = await liveOf(job, context);
        return preview && { jobId: job.id, value: preview };
      },
    }),
  }));
}

function addEdges(builder: Builder, refs: Refs): void {
  builder.objectFields(refs.Job, (t) => ({
    outputs: t.field({
      type: [refs.Output],
      description: 'What it has made so far; grows while it runs, is final once it is COMPLETED.',
      resolve: (job, _args, { loaders }) => loaders.outputs.load(job.id),
    }),
    attempts: t.field({
      type: [refs.Attempt],
      description: 'Every try to run it, oldest first.',
      resolve: (job, _args, { loaders }) => loaders.attempts.load(job.id),
    }),
    instance: t.field({
      type: refs.Instance,
      nullable: true,
      description: 'Where it runs or ran last.',
      resolve: (job, _args, { loaders }) =>
        job.instanceId === null ? null : loaders.instance.load(job.instanceId),
    }),
    error: t.field({
      type: refs.JobError,
      nullable: true,
      description: 'Why it FAILED.',
      resolve: (job) => (job.status === 'FAILED' ? job.error : null),
    }),
    retryOf: t.field({
      type: refs.Job,
      nullable: true,
      description: 'The ended job that this one repeats; null too when that one was deleted.',
      resolve: (job, _args, { loaders }) => (job.retryOf === null ? null : loaders.job.load(job.retryOf)),
    }),
  }));
}
