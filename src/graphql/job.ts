/** The noun Job: its fields, and the parts that belong to it alone (progress, place in the queue, preview, attempts, error). */
import type { Builder } from './builder.ts';
import type { GraphqlContext } from './context.ts';
import { globalId } from './global-id.ts';
import { inputsToWire } from './image-references.ts';
import { type JobView, progressOf, queueMs } from './job-view.ts';
import type { Refs } from './refs.ts';
import { estimateWaitMs } from './wait-estimate.ts';

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
  addParts(builder, refs);
  addPreviewAndError(builder, refs);
  addAttempt(builder, refs);
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
        const position = job.place?.position ?? (await loaders.position.load(job.id));
        return position === null ? null : { job, position };
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

function addParts(builder: Builder, refs: Refs): void {
  builder.objectType(refs.JobProgress, {
    description: 'How far a job is.',
    fields: (t) => ({
      id: t.id({ description: 'Opaque id.', resolve: ({ jobId }) => globalId('JobProgress', jobId) }),
      fraction: t.float({
        description:
          "0 to 1: finished and cached nodes plus the running node's share of steps; never falls within one attempt.",
        resolve: ({ value }) => value.fraction,
      }),
      node: t.string({
        nullable: true,
        description: 'Id of the node that runs.',
        resolve: ({ value }) => value.node,
      }),
      nodeType: t.string({
        nullable: true,
        description: 'Class of the node that runs.',
        resolve: ({ value }) => value.nodeType,
      }),
      step: t.int({
        nullable: true,
        description: 'Step that node is at.',
        resolve: ({ value }) => value.step,
      }),
      totalSteps: t.int({
        nullable: true,
        description: 'Steps that node has.',
        resolve: ({ value }) => value.totalSteps,
      }),
      remainingMs: t.float({
        nullable: true,
        description: 'Estimated time left of the running node, in ms.',
        resolve: ({ value }) => value.remainingMs,
      }),
    }),
  });
  builder.objectType(refs.QueuePlace, {
    description: 'The place of a waiting job.',
    fields: (t) => ({
      id: t.id({ description: 'Opaque id.', resolve: ({ job }) => globalId('QueuePlace', job.id) }),
      position: t.exposeInt('position', { description: 'From 1, in the order of priority and arrival.' }),
      estimatedWaitMs: t.float({
        nullable: true,
        description:
          'Estimated time until it starts, in ms, from recent run times; null while there are none.',
        resolve: async ({ position }, _args, { loaders }) =>
          estimateWaitMs(position, await loaders.throughput.load('fleet')),
      }),
      blockedBy: t.string({
        nullable: true,
        description: 'Why it cannot start now, in one line; null when it merely waits its turn.',
        resolve: ({ job }, _args, { loaders }) =>
          job.place ? job.place.blockedBy : loaders.blockedBy.load(job.needsKey),
      }),
    }),
  });
}

function addPreviewAndError(builder: Builder, refs: Refs): void {
  builder.objectType(refs.Preview, {
    description: 'A live preview picture of a running job.',
    fields: (t) => ({
      id: t.id({ description: 'Opaque id.', resolve: ({ jobId }) => globalId('Preview', jobId) }),
      url: t.string({
        description: 'Where the picture is; a new address for each new picture.',
        resolve: ({ jobId, value }, _args, { urls }) => urls.preview(jobId, value.revision),
      }),
      mimeType: t.string({ description: 'Its media type.', resolve: ({ value }) => value.mimeType }),
      at: t.field({ type: 'DateTime', description: 'When it was made.', resolve: ({ value }) => value.at }),
    }),
  });
  builder.objectType(refs.JobError, {
    description: 'Why a job or an attempt failed.',
    fields: (t) => ({
      code: t.exposeString('code', { description: 'Stable, upper case.' }),
      message: t.exposeString('message', { description: 'For a person.' }),
      nodeId: t.exposeString('nodeId', { nullable: true, description: 'The node that failed.' }),
      nodeType: t.exposeString('nodeType', { nullable: true, description: 'Class of that node.' }),
      retryable: t.exposeBoolean('retryable', { description: 'Whether trying again can help.' }),
    }),
  });
}

function addAttempt(builder: Builder, refs: Refs): void {
  builder.objectType(refs.Attempt, {
    description: 'One try to run a job on one instance.',
    fields: (t) => ({
      id: t.id({ description: 'Opaque id.', resolve: (attempt) => globalId('Attempt', attempt.id) }),
      number: t.exposeInt('number', { description: 'From 1.' }),
      promptId: t.exposeID('id', { description: "ComfyUI's prompt_id of this attempt." }),
      instance: t.field({
        type: refs.Instance,
        nullable: true,
        description: 'Where it ran; null when that instance is no longer known.',
        resolve: (attempt, _args, { loaders }) => loaders.instance.load(attempt.instanceId),
      }),
      instanceName: t.exposeString('instanceName', { description: 'Name of the instance at that time.' }),
      outcome: t.string({
        nullable: true,
        description: 'SUCCEEDED, FAILED, CANCELED or LOST; null while it runs.',
        resolve: ({ state, finishedAt }) => (finishedAt === null ? null : state),
      }),
      startedAt: t.field({
        type: 'DateTime',
        description: 'When it was given to the instance.',
        resolve: (attempt) => attempt.startedAt,
      }),
      finishedAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'When it ended.',
        resolve: (attempt) => attempt.finishedAt,
      }),
      error: t.field({
        type: refs.JobError,
        nullable: true,
        description: 'Why it failed or was lost.',
        resolve: (attempt) => attempt.error,
      }),
    }),
  });
}
