/** The GraphQL engine: Yoga with the schema, contexts, limits and masking. Transports are http/'s. */
import { type GraphQLSchema, parse } from 'graphql';
import { createYoga, type Plugin, type YogaServerInstance } from 'graphql-yoga';
import type { Logger } from '../lib/logger.ts';
import { createContextFactory, type GraphqlContext, type RequestInfo } from './context.ts';
import { limitsRule, MAX_TOKENS } from './limits.ts';
import { useMasking } from './masking.ts';
import type { Services } from './services.ts';

/** What a transport hands over with each request. */
export interface TransportContext {
  readonly info: RequestInfo;
}

export type Engine = YogaServerInstance<TransportContext, GraphqlContext>;

export interface EngineOptions {
  readonly services: Services;
  /** Asked anew for every operation, so that a change of workflows needs no restart. */
  readonly schema: () => GraphQLSchema;
  /** Aborts when the gateway shuts down. */
  readonly shutdown: AbortSignal;
  readonly plugins?: readonly Plugin<object, TransportContext, GraphqlContext>[];
}

export function createEngine({ services, schema, shutdown, plugins = [] }: EngineOptions): Engine {
  const contextOf = createContextFactory(services, shutdown);
  return createYoga<TransportContext, GraphqlContext>({
    context: ({ info }) => contextOf(info),
    plugins: [...plugins, usePresentSchema(schema), useLimits(), useCrowdLoaders(), useMasking()],
    logging: loggingTo(services.logger),
    maskedErrors: { isDev: false, errorMessage: 'an internal error' },
    graphqlEndpoint: '/graphql',
    landingPage: false,
    graphiql: false,
    cors: false,
    multipart: false,
    // Bodies are read and counted by http/request-bodies.ts; Yoga's own limit would buffer uploads.
    maxRequestBodySize: false,
  });
}

/** Yoga's own schema function is asked once for an HTTP request, so it knows nothing of operations over WebSocket. */
function usePresentSchema(schema: () => GraphQLSchema): Plugin<object, TransportContext, GraphqlContext> {
  return { onEnveloped: ({ setSchema }) => setSchema(schema()) };
}

/** A subscription and everything that is resolved for it read as one of many. */
function useCrowdLoaders(): Plugin<object, TransportContext, GraphqlContext> {
  return {
    onSubscribe({ context, extendContext }) {
      if ('crowdLoaders' in context) extendContext({ loaders: context.crowdLoaders });
    },
  };
}

function useLimits(): Plugin<object, TransportContext, GraphqlContext> {
  return {
    onParse({ setParseFn }) {
      setParseFn((source, options) => parse(source, { ...options, maxTokens: MAX_TOKENS }));
    },
    onValidate({ addValidationRule }) {
      addValidationRule(limitsRule);
    },
  };
}

function loggingTo(logger: Logger) {
  const write =
    (level: 'trace' | 'info' | 'warn' | 'error') =>
    (...args: unknown[]): void => {
      const [first, ...rest] = args;
      if (first instanceof Error) logger[level]({ err: first }, 'graphql');
      else logger[level]({ part: 'graphql' }, [first, ...rest].map(String).join(' '));
    };
  // of each request it says four times how far it has come, and not which it is
  return { debug: write('trace'), info: write('info'), warn: write('warn'), error: write('error') };
}
