/**
 * Expected failures: one object type each, all of the interface Error, and the way from the words of the parts below
 * (`kind`) to them. They are data, so a client reads them in the answer; what is thrown instead is a top-level error.
 */
import type { Job, JobStatus } from '../domain/job.ts';
import { listed, missingWords } from '../domain/missing-words.ts';
import type { Issue } from '../jobs/sources.ts';
import type { FileRefusal, NodeProblem, QueueFull, SubmitResult } from '../jobs/submission.ts';
import { assertNever } from '../lib/assert.ts';
import { FILE_NOT_TAKEN, passingGraphQLError } from './passing-error.ts';
import type { ErrorShape } from './refs.ts';

interface Failed<Name extends string> extends ErrorShape {
  readonly __typename: Name;
}
export interface ValidationFailure extends Failed<'ValidationError'> {
  readonly issues: readonly Issue[];
}
export interface WorkflowInvalidFailure extends Failed<'WorkflowInvalidError'> {
  readonly nodeErrors: readonly NodeProblem[];
}
export interface NotRunnableFailure extends Failed<'NotRunnableError'> {
  readonly missingNodeTypes: readonly string[];
  readonly missingModels: readonly string[];
}
export interface ConflictFailure extends Failed<'IdempotencyConflictError'> {
  readonly job: Job | null;
}
export interface QueueFullFailure extends Failed<'QueueFullError'> {
  readonly retryAfterMs: number;
}
export type NotFoundFailure = Failed<'NotFoundError'>;
export type NotDoneFailure = Failed<'NotDoneError'>;
export interface InvalidStateFailure extends Failed<'InvalidStateError'> {
  readonly status: JobStatus;
}
export interface FileTooLargeFailure extends Failed<'FileTooLargeError'> {
  readonly maxBytes: number;
}
export interface UnsupportedMediaFailure extends Failed<'UnsupportedMediaError'> {
  readonly accepted: readonly string[];
}
export interface ImageTooLargeFailure extends Failed<'ImageTooLargeError'> {
  readonly width: number;
  readonly height: number;
  readonly maxPixels: number;
}

export type FileFailure =
  | ValidationFailure
  | FileTooLargeFailure
  | UnsupportedMediaFailure
  | ImageTooLargeFailure;
export type SubmitFailure =
  | FileFailure
  | WorkflowInvalidFailure
  | NotRunnableFailure
  | ConflictFailure
  | QueueFullFailure;

export function validationFailure(issues: readonly Issue[]): ValidationFailure {
  const [first] = issues;
  const summary = first ? `${[...first.path, first.message].join(' ')}` : 'the input is invalid';
  const message = issues.length > 1 ? `${summary} (and ${issues.length - 1} more)` : summary;
  return { __typename: 'ValidationError', code: 'VALIDATION_FAILED', message, issues };
}

export function notFound(what: string): NotFoundFailure {
  return { __typename: 'NotFoundError', code: 'NOT_FOUND', message: `there is no such ${what}` };
}

export function notDone(why: string): NotDoneFailure {
  return { __typename: 'NotDoneError', code: 'NOT_DONE', message: why };
}

export function invalidState(job: Job, message: string): InvalidStateFailure {
  return { __typename: 'InvalidStateError', code: 'INVALID_STATE', message, status: job.status };
}

export function queueFull({ limit, retryAfterMs }: QueueFull): QueueFullFailure {
  const message =
    limit.of === 'tenant'
      ? `${limit.max} jobs of your own may wait at once, and as many do; try again when some of them have started, or cancel some`
      : `${limit.max} jobs may wait at once, and as many do; try again later`;
  return { __typename: 'QueueFullError', code: 'QUEUE_FULL', message, retryAfterMs };
}

/** @throws a top-level error when the storage is full or away, since that is nobody's input. */
export function fileFailure(refusal: FileRefusal): FileFailure {
  switch (refusal.kind) {
    case 'invalid':
      return validationFailure(refusal.issues);
    case 'too-large': {
      const message = `the file is larger than ${refusal.maxBytes} bytes`;
      return {
        __typename: 'FileTooLargeError',
        code: 'FILE_TOO_LARGE',
        message,
        maxBytes: refusal.maxBytes,
      };
    }
    case 'unsupported': {
      const message = `the file is none of ${refusal.accepted.join(', ')}`;
      return {
        __typename: 'UnsupportedMediaError',
        code: 'UNSUPPORTED_MEDIA',
        message,
        accepted: refusal.accepted,
      };
    }
    case 'too-many-pixels': {
      const { width, height, maxPixels } = refusal;
      const message = `the picture has ${width} x ${height} pixels; ${maxPixels} in all are allowed`;
      return {
        __typename: 'ImageTooLargeError',
        code: 'IMAGE_TOO_LARGE',
        message,
        width,
        height,
        maxPixels,
      };
    }
    case 'storage-unavailable':
      throw passingGraphQLError(FILE_NOT_TAKEN);
    default:
      return assertNever(refusal, 'file refusal');
  }
}

/** @throws as fileFailure does. */
export function submitFailure(result: Exclude<SubmitResult, { kind: 'submitted' }>): SubmitFailure {
  switch (result.kind) {
    case 'workflow-invalid': {
      const { message, nodeErrors } = result;
      return { __typename: 'WorkflowInvalidError', code: 'WORKFLOW_INVALID', message, nodeErrors };
    }
    case 'not-runnable': {
      const { missing, closest } = result;
      const things = listed(missingWords(missing), 5);
      const message =
        closest === null
          ? `no instance has ${things}`
          : `no instance has all it needs; the closest, ${closest}, lacks ${things}`;
      return {
        __typename: 'NotRunnableError',
        code: 'NOT_RUNNABLE',
        message,
        missingNodeTypes: missing.nodeTypes,
        missingModels: missing.models,
      };
    }
    case 'conflict': {
      const message = 'the idempotency key was used with another body';
      return {
        __typename: 'IdempotencyConflictError',
        code: 'IDEMPOTENCY_CONFLICT',
        message,
        job: result.job,
      };
    }
    case 'queue-full':
      return queueFull(result);
    default:
      return fileFailure(result);
  }
}
