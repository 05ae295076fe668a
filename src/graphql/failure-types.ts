/** The object types of expected failures; failures.ts makes their values. */
import type { Issue } from '../jobs/sources.ts';
import type { NodeProblem } from '../jobs/submission.ts';
import type { Builder } from './builder.ts';
import type * as Failures from './failures.ts';
import type { Refs } from './refs.ts';

export function addFailures(builder: Builder, refs: Refs) {
  const interfaces = [refs.Error];
  return {
    ...addSubmitFailures(builder, refs),
    ...addFileFailures(builder, refs),
    NotFoundError: builder.objectRef<Failures.NotFoundFailure>('NotFoundError').implement({
      description: 'There is no such thing, or it is not yours.',
      interfaces,
    }),
    NotDoneError: builder.objectRef<Failures.NotDoneFailure>('NotDoneError').implement({
      description: 'It was tried and did not succeed; the message says why. Trying again may help.',
      interfaces,
    }),
    InvalidStateError: builder.objectRef<Failures.InvalidStateFailure>('InvalidStateError').implement({
      description: 'The job stands where this cannot be done.',
      interfaces,
      fields: (t) => ({
        status: t.field({
          type: refs.JobStatus,
          description: 'Where it stands.',
          resolve: ({ status }) => status,
        }),
      }),
    }),
  };
}

export type FailureRefs = ReturnType<typeof addFailures>;

function addSubmitFailures(builder: Builder, refs: Refs) {
  const interfaces = [refs.Error];
  const NodeError = builder.objectRef<NodeProblem>('NodeError').implement({
    description: 'What is wrong with a node of a graph.',
    fields: (t) => ({
      nodeId: t.exposeString('nodeId', { description: 'Id of the node in the graph.' }),
      nodeType: t.exposeString('nodeType', { nullable: true, description: 'Its class.' }),
      message: t.exposeString('message', { description: 'What is wrong.' }),
    }),
  });
  return {
    WorkflowInvalidError: builder
      .objectRef<Failures.WorkflowInvalidFailure>('WorkflowInvalidError')
      .implement({
        description: 'The graph is not one that ComfyUI could take.',
        interfaces,
        fields: (t) => ({
          nodeErrors: t.field({
            type: [NodeError],
            description: 'What is wrong, by node.',
            resolve: (failure) => failure.nodeErrors,
          }),
        }),
      }),
    NotRunnableError: builder.objectRef<Failures.NotRunnableFailure>('NotRunnableError').implement({
      description: 'No instance, healthy or not, could ever run it.',
      interfaces,
      fields: (t) => ({
        missingNodeTypes: t.stringList({
          description: 'Node classes that no instance has.',
          resolve: (failure) => failure.missingNodeTypes,
        }),
        missingModels: t.stringList({
          description: 'Model files that no instance has.',
          resolve: (failure) => failure.missingModels,
        }),
      }),
    }),
    IdempotencyConflictError: builder
      .objectRef<Failures.ConflictFailure>('IdempotencyConflictError')
      .implement({
        description: 'The same idempotency key came with another body.',
        interfaces,
        fields: (t) => ({
          job: t.field({
            type: refs.Job,
            nullable: true,
            description: 'The job of the first body; null when it was deleted.',
            resolve: ({ job }) => job,
          }),
        }),
      }),
    QueueFullError: builder.objectRef<Failures.QueueFullFailure>('QueueFullError').implement({
      description: 'As many jobs wait as are allowed to.',
      interfaces,
      fields: (t) => ({
        retryAfterMs: t.exposeFloat('retryAfterMs', { description: 'When to try again, in ms.' }),
      }),
    }),
  };
}

function addFileFailures(builder: Builder, refs: Refs) {
  const interfaces = [refs.Error];
  const ValidationIssue = builder.objectRef<Issue>('ValidationIssue').implement({
    description: 'One thing that is wrong with an input.',
    fields: (t) => ({
      path: t.stringList({
        description: 'Leads to it from the input object.',
        resolve: ({ path }) => path,
      }),
      message: t.exposeString('message', { description: 'What is wrong.' }),
    }),
  });
  return {
    ValidationError: builder.objectRef<Failures.ValidationFailure>('ValidationError').implement({
      description: 'The input is not what it must be; an id in it that names nothing counts too.',
      interfaces,
      fields: (t) => ({
        issues: t.field({
          type: [ValidationIssue],
          description: 'Everything that is wrong.',
          resolve: ({ issues }) => issues,
        }),
      }),
    }),
    FileTooLargeError: builder.objectRef<Failures.FileTooLargeFailure>('FileTooLargeError').implement({
      description: 'A file has more bytes than are allowed; nothing of it is kept.',
      interfaces,
      fields: (t) => ({ maxBytes: t.exposeFloat('maxBytes', { description: 'Bytes allowed.' }) }),
    }),
    UnsupportedMediaError: builder
      .objectRef<Failures.UnsupportedMediaFailure>('UnsupportedMediaError')
      .implement({
        description: 'A file is not of a kind that is accepted, whatever it is called.',
        interfaces,
        fields: (t) => ({
          accepted: t.stringList({
            description: 'Media types that are accepted.',
            resolve: ({ accepted }) => accepted,
          }),
        }),
      }),
    ImageTooLargeError: builder.objectRef<Failures.ImageTooLargeFailure>('ImageTooLargeError').implement({
      description: 'A picture has more pixels than are allowed; it was not decoded.',
      interfaces,
      fields: (t) => ({
        width: t.exposeInt('width', { description: 'Its width in pixels.' }),
        height: t.exposeInt('height', { description: 'Its height in pixels.' }),
        maxPixels: t.exposeFloat('maxPixels', { description: 'Pixels allowed in all.' }),
      }),
    }),
  };
}
