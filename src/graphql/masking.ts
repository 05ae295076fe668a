/**
 * Errors as clients see them, over every transport: our own coded errors as they are, anything else replaced by one line
 * and the request's id, under which the log has the cause. A source that breaks ends its subscription with such an error.
 */
import { type ExecutionResult, GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { withoutValue } from './coercion-error.ts';
import type { GraphqlContext } from './context.ts';
import { passingError, passingGraphQLError } from './passing-error.ts';

/** True for errors that were made for clients: thrown as GraphQLError by us or by graphql itself. */
function isMeant(error: unknown): boolean {
  return error instanceof GraphQLError && (!error.originalError || isMeant(error.originalError));
}

/** The error to show; what is not meant for clients is logged. */
export function masked(error: unknown, { log, requestId }: GraphqlContext): GraphQLError {
  if (error instanceof GraphQLError && isMeant(error)) {
    // What graphql itself reports while running an operation is about the values it was given.
    error.extensions.code ??= 'BAD_USER_INPUT';
    return withoutValue(error);
  }
  const cause = error instanceof GraphQLError ? error.originalError : error;
  const path = error instanceof GraphQLError ? error.path : undefined;
  log.error({ err: cause, path: path?.join('.') }, 'operation failed');
  const place = {
    path: path ?? null,
    nodes: error instanceof GraphQLError ? (error.nodes ?? null) : null,
  };
  const passing = passingError(cause);
  if (passing) return passingGraphQLError(passing, { ...place, extensions: { requestId } });
  return new GraphQLError('an internal error; quote the requestId when you report it', {
    ...place,
    extensions: { code: 'INTERNAL_SERVER_ERROR', requestId },
  });
}

function maskedResult(result: ExecutionResult, context: GraphqlContext): ExecutionResult {
  if (!result.errors) return result;
  return { ...result, errors: result.errors.map((error) => masked(error, context)) };
}

type Results = ExecutionResult | AsyncIterable<ExecutionResult>;

/** What an operation came to, in either hook. */
interface Outcome {
  readonly result: Results;
  readonly args: { readonly contextValue: GraphqlContext };
  readonly setResult: (result: Results) => void;
}

export function useMasking(): Plugin<object, object, GraphqlContext> {
  const mask = ({ result, args, setResult }: Outcome): void => {
    const streams = Symbol.asyncIterator in result;
    setResult(streams ? withoutThrowing(result, args.contextValue) : maskedResult(result, args.contextValue));
  };
  return {
    onExecute: () => ({ onExecuteDone: (payload: unknown) => mask(payload as Outcome) }),
    onSubscribe: () => ({ onSubscribeResult: (payload: unknown) => mask(payload as Outcome) }),
  };
}

/** The same results, masked; a throw becomes the last result instead. `return` goes straight to the source. */
function withoutThrowing(
  source: AsyncIterable<ExecutionResult>,
  context: GraphqlContext,
): AsyncIterableIterator<ExecutionResult> {
  const results = source[Symbol.asyncIterator]();
  let over = false;
  return {
    async next() {
      if (over) return { done: true, value: undefined };
      try {
        const { done, value } = await results.next();
        return done ? { done: true, value: undefined } : { done: false, value: maskedResult(value, context) };
      } catch (error) {
        over = true;
        return { done: false, value: { errors: [masked(error, context)] } };
      }
    },
    async return() {
      over = true;
      await results.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
