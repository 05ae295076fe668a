/**
 * Makes of a message what graphql-ws runs: through the same engine as HTTP, so schema, limits, contexts and masking are
 * the same. A mistake in one operation is that operation's error.
 */
import { type ExecutionArgs, GraphQLError, getOperationAST } from 'graphql';
import type { SubscribePayload } from 'graphql-ws';
import { badInput, codedError } from '../graphql/coded-error.ts';
import type { RequestInfo } from '../graphql/context.ts';
import type { Engine } from '../graphql/engine.ts';
import type { OperationWatch } from '../graphql/operation-reports.ts';
import type { Logger } from '../lib/logger.ts';

type Enveloped = ReturnType<Engine['getEnveloped']>;

export interface Prepared extends ExecutionArgs {
  readonly rootValue: Pick<Enveloped, 'execute' | 'subscribe'>;
}

/** What to run, or why not. */
export async function prepare(
  engine: Engine,
  { query, variables, operationName }: SubscribePayload,
  { info, watch }: { readonly info: RequestInfo; readonly watch: OperationWatch },
  logger: Logger,
): Promise<Prepared | readonly GraphQLError[]> {
  const params = { query, variables, operationName } as object;
  const { schema, parse, validate, contextFactory, execute, subscribe } = engine.getEnveloped({
    info,
    params,
  });
  try {
    const document = parse(query);
    watch.read(document, operationName);
    const errors = validate(schema, document);
    if (errors.length > 0)
      return errors.map((error: GraphQLError) => coded(error, 'GRAPHQL_VALIDATION_FAILED'));
    // graphql-ws would refuse it too, but tell nobody that it has ended
    if (!getOperationAST(document, operationName))
      return [badInput('the document holds no such operation, or several and none is named')];
    return {
      schema,
      document,
      operationName: operationName ?? null,
      variableValues: variables ?? null,
      contextValue: await contextFactory(),
      rootValue: { execute, subscribe },
    };
  } catch (error) {
    if (error instanceof GraphQLError) return [coded(error, 'GRAPHQL_PARSE_FAILED')];
    logger.error({ err: error, requestId: info.requestId }, 'operation could not be prepared');
    return [codedError('INTERNAL_SERVER_ERROR', 'an internal error')];
  }
}

/** It goes on until somebody ends it; anything else answers once. */
export function isSubscription({ document, operationName }: Prepared): boolean {
  return getOperationAST(document, operationName)?.operation === 'subscription';
}

/** Over HTTP the status carries part of it; here the code is all there is. */
function coded(error: GraphQLError, code: string): GraphQLError {
  const { http: _http, ...extensions } = error.extensions;
  return new GraphQLError(error.message, {
    nodes: error.nodes ?? null,
    source: error.source ?? null,
    positions: error.positions ?? null,
    extensions: { code, ...extensions },
  });
}
