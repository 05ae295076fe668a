/** The noun JobEvent: what happened to a job, one type for each kind of event. */
import type { DurableEvent, LiveEvent } from '../domain/job-event.ts';
import { present } from '../lib/assert.ts';
import type { Builder } from './builder.ts';
import { codedError } from './coded-error.ts';
import type { GraphqlContext } from './context.ts';
import { EVENT_TYPES, type JobEventView } from './job-event-view.ts';
import type { Refs } from './refs.ts';

type AnyEvent = DurableEvent | LiveEvent;
type ViewOf<Type extends AnyEvent['type']> = JobEventView & {
  readonly event: Extract<AnyEvent, { type: Type }>;
};

export function addJobEvents(builder: Builder, refs: Refs): void {
  builder.interfaceType(refs.JobEvent, {
    description:
      'Something that happened to a job. Events that are kept can be replayed from their cursor; live ones carry the cursor of the kept one before them.',
    resolveType: ({ event }) => EVENT_TYPES[event.type],
    fields: (t) => ({
      cursor: t.exposeString('cursor', { description: 'Where to continue from: opaque.' }),
      at: t.field({ type: 'DateTime', description: 'When it happened.', resolve: ({ at }) => at }),
      job: t.field({
        type: refs.Job,
        description: 'The job as it is when the event is sent.',
        resolve: async ({ jobId }, _args, { loaders }) => {
          const job = await loaders.job.load(jobId);
          if (!job) throw codedError('NOT_FOUND', 'the job has been deleted');
          return job;
        },
      }),
    }),
  });
  const interfaces = [refs.JobEvent];
  const plain = (name: string, description: string) =>
    builder.objectType(builder.objectRef<JobEventView>(name), { description, interfaces });
  plain('JobQueued', 'It was submitted. Kept.');
  plain('JobCanceled', 'It was canceled. Kept; the last event of a job.');
  plain('JobFinished', 'It COMPLETED or FAILED. Kept; the last event of a job.');
  addKeptEvents(builder, refs);
  addLiveEvents(builder, refs);
}

function addKeptEvents(builder: Builder, refs: Refs): void {
  const interfaces = [refs.JobEvent];
  builder.objectType(builder.objectRef<ViewOf<'started'>>('JobStarted'), {
    description: 'It was given to an instance. Kept.',
    interfaces,
    fields: (t) => ({
      attempt: t.field({
        type: refs.Attempt,
        description: 'The try that began.',
        resolve: ({ jobId, event }, _args, context) => attemptOf(context, jobId, event.attemptId),
      }),
    }),
  });
  builder.objectType(builder.objectRef<ViewOf<'output'>>('OutputReady'), {
    description:
      'A node made something. Kept, unless its attempt was retried: then its outputs are withdrawn.',
    interfaces,
    fields: (t) => ({
      output: t.field({
        type: refs.Output,
        description: 'What it made.',
        resolve: ({ output }) => present(output, 'output'),
      }),
    }),
  });
  builder.objectType(builder.objectRef<ViewOf<'retried'>>('JobRetried'), {
    description:
      "An attempt failed or was lost; it waits for another. That attempt's outputs are withdrawn. Kept.",
    interfaces,
    fields: (t) => ({
      attempt: t.field({
        type: refs.Attempt,
        description: 'The try that ended.',
        resolve: ({ jobId, event }, _args, context) => attemptOf(context, jobId, event.attemptId),
      }),
      delayMs: t.float({
        description: 'How long it waits before the next try may begin, in ms.',
        resolve: ({ event }) => event.delayMs,
      }),
    }),
  });
}

async function attemptOf({ loaders }: GraphqlContext, jobId: string, attemptId: string) {
  const attempts = await loaders.attempts.load(jobId);
  return present(
    attempts.find(({ id }) => id === attemptId),
    'attempt',
  );
}

function addLiveEvents(builder: Builder, refs: Refs): void {
  const interfaces = [refs.JobEvent];
  builder.objectType(builder.objectRef<ViewOf<'progress'>>('JobProgressed'), {
    description: 'It made progress. Live only.',
    interfaces,
    fields: (t) => ({
      progress: t.field({
        type: refs.JobProgress,
        description: 'How far it is.',
        resolve: ({ jobId, event }) => ({ jobId, value: event.progress }),
      }),
    }),
  });
  builder.objectType(builder.objectRef<ViewOf<'node'>>('NodeStarted'), {
    description: 'A node began to run. Live only.',
    interfaces,
    fields: (t) => ({
      node: t.string({ description: 'Id of the node.', resolve: ({ event }) => event.node }),
      nodeType: t.string({
        nullable: true,
        description: 'Its class.',
        resolve: ({ event }) => event.nodeType,
      }),
    }),
  });
  builder.objectType(builder.objectRef<ViewOf<'cached'>>('NodesCached'), {
    description: 'Nodes need not run because their results are cached. Live only.',
    interfaces,
    fields: (t) => ({
      nodes: t.stringList({ description: 'Ids of the nodes.', resolve: ({ event }) => event.nodes }),
    }),
  });
  builder.objectType(builder.objectRef<ViewOf<'preview'>>('PreviewReady'), {
    description: 'There is a new preview picture. Live only.',
    interfaces,
    fields: (t) => ({
      preview: t.field({
        type: refs.Preview,
        description: 'The picture.',
        resolve: ({ jobId, event }) => ({ jobId, value: event.preview }),
      }),
    }),
  });
  builder.objectType(builder.objectRef<ViewOf<'comfy'>>('ComfyMessage'), {
    description: 'Anything else ComfyUI or a custom node said of this run. Live only; its size is limited.',
    interfaces,
    fields: (t) => ({
      type: t.string({ description: 'Type of the message.', resolve: ({ event }) => event.messageType }),
      data: t.field({
        type: 'JSON',
        nullable: true,
        description: 'The message.',
        resolve: ({ event }) => event.data,
      }),
    }),
  });
}
