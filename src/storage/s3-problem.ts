/** What an error of an object store means: absent, full, or away. Nothing it says can show a secret of ours. */
import { errorCode } from './fs-error.ts';
import { StorageUnavailable } from './storage-unavailable.ts';

const FULL = /quota|storagefull|insufficient/i;
const FULL_STATUS = 507;

/** HTTP status of the answer; undefined when there was none. */
export function statusOf(error: unknown): number | undefined {
  const metadata = error instanceof Error && '$metadata' in error ? error.$metadata : undefined;
  const status = (metadata as { httpStatusCode?: unknown } | undefined)?.httpStatusCode;
  return typeof status === 'number' ? status : undefined;
}

/** There is no such object. A bucket that is not there is another matter. */
export function isAbsent(error: unknown): boolean {
  if (!(error instanceof Error) || error.name === 'NoSuchBucket') return false;
  return error.name === 'NoSuchKey' || error.name === 'NotFound' || statusOf(error) === 404;
}

/** Away, busy or slow: nothing of what we ask is wrong. */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined) return status >= 500 || status === 429;
  if (!(error instanceof Error)) return false;
  return errorCode(error) !== undefined || error.name === 'TimeoutError' || error.name === 'AbortError';
}

/** It answered that it will not do what was asked, and so has not. */
export function isRefused(error: unknown): boolean {
  const status = statusOf(error);
  return status !== undefined && status >= 400 && status < 500;
}

/** It has no room for more: a quota, or its own disks. */
export function isFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const status = statusOf(error);
  if (status === FULL_STATUS || FULL.test(error.name)) return true;
  // Swift tells of a quota in the text only
  return status === 413 && FULL.test(error.message);
}

/** One line for the log: which error, which status. Not its message, which may quote the request. */
export function describeProblem(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const parts = [error.name, errorCode(error), statusOf(error)].filter((part) => part !== undefined);
  return parts.join(' ');
}

export function unavailable(error: unknown): StorageUnavailable {
  if (error instanceof StorageUnavailable) return error;
  return new StorageUnavailable(`the object store failed: ${describeProblem(error)}`);
}
