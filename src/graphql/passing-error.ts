/**
 * What clients are told of a store that fails for a while, over every transport: a code of its own, and that the same request
 * may succeed later. Never what the database said, which may name hosts, users and values.
 */
import { GraphQLError, type GraphQLErrorOptions } from 'graphql';
import { StorageUnavailable } from '../storage/storage-unavailable.ts';
import type { StoreTrouble } from '../store/retryable.ts';
import { troubleOfStore } from '../store/store-error.ts';
import type { ErrorCode } from './coded-error.ts';

export interface PassingError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: true;
  readonly retryAfterMs: number;
}

/** A database that restarts is back within seconds; one without room needs somebody to make some. */
const AWAY_MS = 1000;
const FULL_MS = 10_000;

/** Null for an error that does not pass by itself. */
export function passingError(error: unknown): PassingError | null {
  if (error instanceof StorageUnavailable) return FILES_AWAY;
  const trouble = troubleOfStore(error);
  return trouble && TOLD[trouble];
}

/** As clients see it, at its place in the operation, if it has one. */
export function passingGraphQLError(
  { message, ...extensions }: PassingError,
  place: GraphQLErrorOptions = {},
): GraphQLError {
  return new GraphQLError(message, { ...place, extensions: { ...extensions, ...place.extensions } });
}

const FILES_AWAY: PassingError = {
  code: 'STORAGE_UNAVAILABLE',
  message: 'stored files cannot be reached at the moment; try again later',
  retryable: true,
  retryAfterMs: AWAY_MS,
};

/** Storage said so itself: it is full, or away. */
export const FILE_NOT_TAKEN: PassingError = {
  code: 'STORAGE_UNAVAILABLE',
  message: 'the file cannot be stored at the moment; try again later',
  retryable: true,
  retryAfterMs: FULL_MS,
};

/** Whether a write took place is not known when the store fails under it; with its idempotency key it is made once. */
const AWAY: PassingError = {
  code: 'STORE_UNAVAILABLE',
  message:
    'the database does not answer at the moment; try again, with the same idempotencyKey if there is one',
  retryable: true,
  retryAfterMs: AWAY_MS,
};

const TOLD: Readonly<Record<StoreTrouble, PassingError>> = {
  full: {
    code: 'STORAGE_UNAVAILABLE',
    message: 'there is no room to write; try again later',
    retryable: true,
    retryAfterMs: FULL_MS,
  },
  unavailable: AWAY,
  conflict: AWAY,
};
