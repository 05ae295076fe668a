/** What belongs to a job alone: its progress, place in the queue, preview, attempts and error. */
import { FAULTS } from '../domain/fault.ts';
import type { Builder } from './builder.ts';
import { globalId } from './global-id.ts';
import type { Refs } from './refs.ts';
import { estimateWaitMs } from './wait-estimate.ts';

export function addJobParts(builder: Builder, refs: Refs): void {
  addProgressAndPlace(builder, refs);
  addPreviewAndError(builder, refs);
  addAttempt(builder, refs);
}

function addProgressAndPlace(builder: Builder, refs: Refs): void {
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
        description:
          'Estimated time left of the whole job, in ms, from what such jobs took and from the steps of the running node; null while nothing is known.',
        resolve: ({ value }) => value.remainingMs,
      }),
    }),
  });
  builder.objectType(refs.QueuePlace, {
    description: 'The place of a waiting job.',
    fields: (t) => ({
      id: t.id({ description: 'Opaque id.', resolve: ({ job }) => globalId('QueuePlace', job.id) }),
      position: t.exposeInt('position', {
        description:
          'From 1, in the order in which jobs are served: priority, fair turns between tenants, arrival.',
      }),
      estimatedWaitMs: t.float({
        nullable: true,
        description:
          'Estimated time until it starts, in ms, from what such jobs took on which instance, loading of models included; null while nothing is known, and as long as no instance can run it.',
        resolve: async ({ position, waitMs }, _args, { loaders }) =>
          waitMs === undefined ? estimateWaitMs(position, await loaders.throughput.load('fleet')) : waitMs,
      }),
      blockedBy: t.string({
        nullable: true,
        description: 'Why it cannot start now, in one line; null when it merely waits its turn.',
        resolve: async ({ job }, _args, { loaders, places }) => {
          if (job.place) return job.place.blockedBy;
          const ofClass = await loaders.blockedBy.load(job.needsKey);
          return ofClass ?? (await places.picture())?.heldBack(job.tenant) ?? null;
        },
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
      code: t.exposeString('code', { description: codesDescription() }),
      message: t.exposeString('message', { description: 'For a person.' }),
      nodeId: t.exposeString('nodeId', { nullable: true, description: 'The node that failed.' }),
      nodeType: t.exposeString('nodeType', { nullable: true, description: 'Class of that node.' }),
      retryable: t.exposeBoolean('retryable', { description: 'Whether trying again can help.' }),
    }),
  });
}

/** Every code a client may see, from the one table. */
function codesDescription(): string {
  const codes = Object.entries(FAULTS).map(
    ([code, { retryable, message }]) => `- ${code} (${retryable ? 'retryable' : 'final'}): ${message}`,
  );
  return ['Stable, upper case. More may follow; `retryable` tells of each.', '', ...codes].join('\n');
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
      runMs: t.exposeFloat('runMs', {
        nullable: true,
        description:
          'Time on the instance in ms, however it ended: 0 where it never ran there; null while it has not ended.',
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
