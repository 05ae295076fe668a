/** What a client may do with a job it has: cancel, retry, delete, clean up. */

import type { JobStatus } from '../domain/job.ts';
import { ENDED_JOB_STATUSES, hasEnded } from '../domain/job-states.ts';
import { ATTRIBUTES } from '../tracing/spans.ts';
import { parseTraceparent, traceparentOf } from '../tracing/traceparent.ts';
import type { Builder } from './builder.ts';
import type { GraphqlContext } from './context.ts';
import type { FailureRefs } from './failure-types.ts';
import { invalidState, notFound, queueFull, validationFailure } from './failures.ts';
import { globalId, rawId } from './global-id.ts';
import type { JobView } from './job-view.ts';
import type { Refs } from './refs.ts';
import { momentOf, type TimeInput } from './time-input.ts';

interface JobSuccess {
  readonly __typename: 'JobSuccess';
  readonly job: JobView;
}
const jobSuccess = (job: JobView): JobSuccess => ({ __typename: 'JobSuccess', job });

function addJobInput(builder: Builder) {
  return builder.inputType('JobInput', {
    description: 'Which job.',
    fields: (t) => ({ id: t.id({ required: true, description: 'Id of the job.' }) }),
  });
}

type JobInputRef = ReturnType<typeof addJobInput>;

export function addJobMutations(builder: Builder, refs: Refs, failures: FailureRefs): void {
  const JobInput = addJobInput(builder);
  const Success = builder.objectRef<JobSuccess>('JobSuccess').implement({
    description: 'It was done.',
    fields: (t) => ({
      job: t.field({ type: refs.Job, description: 'The job.', resolve: ({ job }) => job }),
    }),
  });
  const { NotFoundError, InvalidStateError, QueueFullError } = failures;
  const CancelJobResult = builder.unionType('CancelJobResult', {
    description: 'What became of canceling.',
    types: [Success, NotFoundError, InvalidStateError],
    resolveType: ({ __typename }) => __typename,
  });
  const RetryJobResult = builder.unionType('RetryJobResult', {
    description: 'What became of retrying.',
    types: [Success, NotFoundError, InvalidStateError, QueueFullError],
    resolveType: ({ __typename }) => __typename,
  });
  builder.mutationFields((t) => ({
    cancelJob: t.field({
      type: CancelJobResult,
      description:
        'Cancels a job wherever it stands, at once. Canceling what is CANCELED succeeds; what COMPLETED or FAILED cannot be canceled.',
      args: { input: t.arg({ type: JobInput, required: true, description: 'Which job.' }) },
      resolve: (_root, args, context) => cancelJob(context, args.input.id),
    }),
    retryJob: t.field({
      type: RetryJobResult,
      description: 'Submits an ended job anew and answers with the new job, its retryOf set.',
      args: { input: t.arg({ type: JobInput, required: true, description: 'Which job.' }) },
      resolve: (_root, args, context) => retryJob(context, args.input.id),
    }),
  }));
  addDelete(builder, failures, JobInput);
  addCleanUp(builder, refs, failures);
}

async function cancelJob({ services, viewer, log, span }: GraphqlContext, id: string) {
  const raw = rawId(id, 'Job');
  if (raw === null) return notFound('job');
  const result = await services.recorder.cancel(viewer, raw);
  log.info({ job: raw, result: result.kind }, 'cancel asked');
  if (result.kind === 'not-found') return notFound('job');
  span?.setAttribute(ATTRIBUTES.jobId, raw);
  if (result.kind === 'ended') return invalidState(result.job, 'the job has ended already');
  return jobSuccess(result.job);
}

async function retryJob({ services, viewer, log, span }: GraphqlContext, id: string) {
  const raw = rawId(id, 'Job');
  if (raw === null) return notFound('job');
  const result = await services.submitter.retry(viewer, raw, traceparentOf(span));
  const again = result.kind === 'submitted' ? { job: result.job.id, retryOf: raw } : { job: raw };
  log.info({ ...again, result: result.kind }, 'retry asked');
  switch (result.kind) {
    case 'submitted': {
      const before = parseTraceparent(result.retried.trace);
      if (before) span?.addLink({ context: before, attributes: { [ATTRIBUTES.jobId]: raw } });
      span?.setAttribute(ATTRIBUTES.jobId, result.job.id);
      return jobSuccess(result.job);
    }
    case 'not-found':
      return notFound('job');
    case 'active':
      return invalidState(result.job, 'the job has not ended yet');
    case 'queue-full':
      return queueFull(result);
  }
}

function addDelete(builder: Builder, failures: FailureRefs, JobInput: JobInputRef): void {
  const Success = builder
    .objectRef<{ readonly __typename: 'DeleteJobSuccess'; readonly deletedJobId: string }>('DeleteJobSuccess')
    .implement({
      description: 'The job is gone, its outputs with it.',
      fields: (t) => ({ deletedJobId: t.exposeID('deletedJobId', { description: 'The id it had.' }) }),
    });
  const DeleteJobResult = builder.unionType('DeleteJobResult', {
    description: 'What became of deleting.',
    types: [Success, failures.NotFoundError, failures.InvalidStateError],
    resolveType: ({ __typename }) => __typename,
  });
  builder.mutationField('deleteJob', (t) =>
    t.field({
      type: DeleteJobResult,
      description: 'Deletes an ended job and its outputs.',
      args: { input: t.arg({ type: JobInput, required: true, description: 'Which job.' }) },
      resolve: async (_root, args, { services, viewer, log }) => {
        const raw = rawId(args.input.id, 'Job');
        if (raw === null) return notFound('job');
        const result = await services.retention.deleteJob(viewer, raw);
        log.info({ job: raw, result: result.kind }, 'delete asked');
        if (result.kind === 'not-found') return notFound('job');
        if (result.kind === 'active') return invalidState(result.job, 'only a job that has ended is deleted');
        return { __typename: 'DeleteJobSuccess', deletedJobId: globalId('Job', raw) } as const;
      },
    }),
  );
}

function addCleanUp(builder: Builder, refs: Refs, failures: FailureRefs): void {
  const CleanUpJobsInput = builder.inputType('CleanUpJobsInput', {
    description: 'Which jobs to delete.',
    fields: (t) => ({
      olderThan: t.field({
        type: 'TimeInput',
        description: 'Those that ended before this moment; default: the retention of the gateway.',
      }),
      status: t.field({
        type: [refs.JobStatus],
        description: 'Those of these final statuses; default: all three.',
      }),
    }),
  });
  const Success = builder
    .objectRef<{ readonly __typename: 'CleanUpJobsSuccess'; readonly deleted: number }>('CleanUpJobsSuccess')
    .implement({
      description: 'They are gone, their outputs with them.',
      fields: (t) => ({ deleted: t.exposeInt('deleted', { description: 'How many jobs.' }) }),
    });
  const CleanUpJobsResult = builder.unionType('CleanUpJobsResult', {
    description: 'What became of cleaning up.',
    types: [Success, failures.ValidationError],
    resolveType: ({ __typename }) => __typename,
  });
  builder.mutationField('cleanUpJobs', (t) =>
    t.field({
      type: CleanUpJobsResult,
      description: 'Deletes ended jobs and their outputs.',
      args: { input: t.arg({ type: CleanUpJobsInput, required: true, description: 'Which jobs.' }) },
      resolve: (_root, { input }, context) => cleanUp(context, input),
    }),
  );
}

interface CleanUpInput {
  readonly olderThan?: TimeInput | null | undefined;
  readonly status?: readonly JobStatus[] | null | undefined;
}

async function cleanUp({ services, viewer, log }: GraphqlContext, { olderThan, status }: CleanUpInput) {
  const statuses = status ?? ENDED_JOB_STATUSES;
  const active = statuses.findIndex((each) => !hasEnded(each));
  if (active >= 0) {
    return validationFailure([{ path: ['status', String(active)], message: 'must be a final status' }]);
  }
  const now = services.clock.now();
  const before = olderThan ? momentOf(olderThan, now) : now - services.config.jobRetentionMs;
  const deleted = await services.retention.cleanUp(viewer, {
    olderThan: before,
    statuses: [...new Set(statuses)],
  });
  log.info({ deleted }, 'jobs cleaned up');
  return { __typename: 'CleanUpJobsSuccess', deleted } as const;
}
