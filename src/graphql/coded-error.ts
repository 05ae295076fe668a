/**
 * Top-level errors: what a client did wrong in a way no result type names, and what went wrong here. Each has a stable
 * `extensions.code`; everything else that is thrown is a bug and is masked.
 */
import { GraphQLError } from 'graphql';

export type ErrorCode =
  | 'BAD_USER_INPUT'
  | 'NOT_FOUND'
  | 'PAYLOAD_TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'QUERY_TOO_COMPLEX'
  | 'TOO_MANY_SUBSCRIPTIONS'
  | 'STORAGE_UNAVAILABLE'
  | 'STORE_UNAVAILABLE'
  | 'CSRF_HEADER_MISSING'
  | 'INTERNAL_SERVER_ERROR';

/** `status` is the HTTP status of the whole response: only for errors that leave nothing else to answer. */
export function codedError(code: ErrorCode, message: string, status?: number): GraphQLError {
  const extensions = status === undefined ? { code } : { code, http: { status } };
  return new GraphQLError(message, { extensions });
}

export const badInput = (message: string): GraphQLError => codedError('BAD_USER_INPUT', message);
