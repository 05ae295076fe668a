/**
 * The HTTP side: one listener for GraphQL (HTTP, SSE, WebSocket), files and health. It owns the signal that ends every
 * subscription and wait when the gateway stops.
 */
import { setMaxListeners } from 'node:events';
import { Server as NetServer } from 'node:net';
import { type FastifyInstance, fastify } from 'fastify';
import type { GraphQLSchema } from 'graphql';
import { createEngine, type Engine } from '../graphql/engine.ts';
import { OperationReports, useOperationReports } from '../graphql/operation-reports.ts';
import { useOperationSpans } from '../graphql/operation-spans.ts';
import { passingError } from '../graphql/passing-error.ts';
import { buildSchema } from '../graphql/schema.ts';
import type { Service } from '../lib/service.ts';
import type { WorkflowRegistry } from '../workflows/definition.ts';
import { addCors } from './cors.ts';
import { EventStreams, useEventStreams } from './event-streams.ts';
import { addFileRoutes } from './files.ts';
import { type Trust, trustOf } from './forwarded.ts';
import { GraphiqlPage } from './graphiql.ts';
import { addGraphqlRoute } from './graphql-route.ts';
import { addHealthRoutes } from './health-routes.ts';
import { CONNECTION_LIMITS, type ConnectionLimits } from './limits.ts';
import { addMetricsRoute } from './metrics-route.ts';
import { observeRequests } from './observer.ts';
import type { HttpParts } from './parts.ts';
import { useRequestBodies } from './request-bodies.ts';
import { allowedOrigins, requestIdOf } from './request-info.ts';
import { RequestLog } from './request-log.ts';
import { useStallTimeout } from './stalled.ts';
import { UnheardConnections } from './unheard.ts';
import { WebSocketTransport } from './websocket.ts';

export interface HttpServer extends Service {
  /** Where it listens, without a trailing slash; throws before it has started. */
  readonly url: string;
  /** Says that it is not ready, so that nobody sends more here; all is served as before until `stop`. */
  drain(): void;
}

const ARRIVAL_MS = 30_000;
const MAX_FILES = 10;
/** A request must have come in whole within this time, uploads over slow lines included. */
const REQUEST_TIMEOUT_MS = 10 * 60_000;

/** @throws when the workflows do not fit the schema. */
export function createHttpServer(parts: HttpParts): HttpServer {
  return new FastifyServer(parts);
}

/** The schema of the workflows there are: made anew only when they change. */
function schemaOf(workflows: HttpParts['workflows']): () => GraphQLSchema {
  let built: { readonly registry: WorkflowRegistry; readonly schema: GraphQLSchema } | undefined;
  return () => {
    const registry = workflows();
    if (built?.registry !== registry) built = { registry, schema: schemaWith(registry) };
    return built.schema;
  };
}

function schemaWith(registry: WorkflowRegistry): GraphQLSchema {
  try {
    return buildSchema({ workflows: registry.list() });
  } catch (error) {
    // as a rule a workflow's name, or the name of its input type, is one of the schema's own
    const reason = error instanceof Error ? error.message : 'unknown';
    throw new Error(`the workflows do not fit the schema: ${reason}`, { cause: error });
  }
}

class FastifyServer implements HttpServer {
  readonly #parts: HttpParts;
  readonly #shutdown = new AbortController();
  readonly #app: FastifyInstance;
  readonly #engine: Engine;
  readonly #sockets: WebSocketTransport;
  readonly #limits: ConnectionLimits;
  readonly #streams: EventStreams;
  readonly #trust: Trust;
  readonly #unheard: UnheardConnections;
  readonly #requests: RequestLog;
  #draining = false;
  #stopped: Promise<void> | undefined;
  #url: string | undefined;

  constructor(parts: HttpParts) {
    this.#parts = parts;
    const { config, clock, ids } = parts;
    this.#limits = { ...CONNECTION_LIMITS, ...parts.limits };
    this.#streams = new EventStreams(this.#limits.maxStreams);
    this.#trust = trustOf(config.trustProxy);
    this.#requests = new RequestLog({ ...parts, trust: this.#trust });
    // One listener for each wait.
    setMaxListeners(0, this.#shutdown.signal);
    const limits = {
      maxFileBytes: config.maxUploadBytes + 1,
      maxFiles: MAX_FILES,
      maxFieldBytes: config.maxBodyBytes,
      arrivalMs: ARRIVAL_MS,
    };
    const bodies = useRequestBodies({
      maxJsonBytes: config.maxBodyBytes,
      multipart: limits,
      allowedOrigins: allowedOrigins(config),
      trust: this.#trust,
      clock,
    });
    const schema = schemaOf(parts.workflows);
    // A workflow that does not fit stops the start, not every request.
    schema();
    const reports = new OperationReports(clock, [
      this.#requests,
      ...(parts.observer ? [parts.observer] : []),
    ]);
    this.#engine = createEngine({
      services: parts,
      schema,
      shutdown: this.#shutdown.signal,
      plugins: [
        ...(parts.tracer ? [useOperationSpans(parts.tracer, clock)] : []),
        useOperationReports(reports),
        bodies as never,
        useEventStreams(this.#streams),
        useStallTimeout(this.#limits.stallMs, parts.logger) as never,
      ],
    });
    this.#sockets = new WebSocketTransport(parts, this.#limits, this.#engine, reports);
    this.#app = fastify({
      logger: false,
      trustProxy: this.#trust,
      genReqId: (request) => requestIdOf(request.headers, ids),
      frameworkErrors: this.#requests.unreadable,
      requestTimeout: REQUEST_TIMEOUT_MS,
      forceCloseConnections: 'idle',
    });
    this.#unheard = new UnheardConnections(this.#app.server);
    this.#addRoutes();
  }

  get url(): string {
    if (!this.#url) throw new Error('the server has not started');
    return this.#url;
  }

  async start(): Promise<void> {
    const { host, port } = this.#parts.config;
    this.#sockets.attach(this.#app.server);
    this.#url = (await this.#app.listen({ host, port })).replace(/\/$/, '');
    this.#parts.logger.info({ url: this.#url }, 'listening');
  }

  drain(): void {
    this.#draining = true;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /**
   * In this order: say that it is not ready and listen no more, hear out who has connected, end waits, so that whatever is being answered is answered
   * soon; then close every subscription in a way that makes its client come back. What is still open after the grace
   * period is cut.
   */
  async #stop(): Promise<void> {
    const { config, clock, logger } = this.#parts;
    this.drain();
    await this.#listenNoMore();
    this.#shutdown.abort();
    const cut = clock.after(config.shutdownGraceMs, () => this.#app.server.closeAllConnections());
    try {
      const closed = this.#app.close();
      this.#streams.cut();
      await this.#sockets.stop(config.shutdownGraceMs);
      await this.#engine.dispose();
      this.#app.server.closeIdleConnections();
      await closed;
    } finally {
      cut.cancel();
    }
    logger.info('stopped listening');
  }

  /** Only that: http.Server's own `close` ends connections at once whose request it has not read yet. */
  async #listenNoMore(): Promise<void> {
    const { clock } = this.#parts;
    await this.#unheard.nobodyWaits(clock);
    NetServer.prototype.close.call(this.#app.server);
    await this.#unheard.heard(clock);
  }

  #addRoutes(): void {
    const app = this.#app;
    const services = this.#parts;
    // Bodies are read by request-bodies.ts, so that files stream.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', (_request, _body, done) => done(null));
    this.#requests.addTo(app);
    if (services.observer) observeRequests(app, services.observer, services.clock);
    app.addHook('onRequest', async (_request, reply) => {
      // a proxy keeps its connections: none of them may be in use again when they are closed
      if (this.#draining) reply.header('connection', 'close');
    });
    app.setNotFoundHandler((_request, reply) =>
      reply.code(404).send({ code: 'NOT_FOUND', message: 'there is nothing here' }),
    );
    app.setErrorHandler<Error & { statusCode?: number }>((error, request, reply) => {
      const { statusCode = 500 } = error;
      // a request that the router itself cannot read
      if (statusCode >= 400 && statusCode < 500)
        return reply.code(statusCode).send({ code: 'BAD_USER_INPUT', message: error.message });
      services.logger.error({ err: error, requestId: request.id }, 'request failed');
      const passing = passingError(error);
      if (passing) {
        const { code, message, retryAfterMs } = passing;
        return reply
          .code(503)
          .header('retry-after', Math.ceil(retryAfterMs / 1000))
          .header('cache-control', 'no-store')
          .send({ code, message, requestId: request.id });
      }
      const message = 'an internal error; quote the requestId when you report it';
      return reply.code(500).send({ code: 'INTERNAL_SERVER_ERROR', message, requestId: request.id });
    });
    addCors(app, services.config.corsOrigins);
    addHealthRoutes(app, services, () => this.#draining);
    addMetricsRoute(app, services.exposition ?? null);
    addFileRoutes(app, services);
    const page = services.config.graphiql ? new GraphiqlPage() : null;
    addGraphqlRoute(app, services, { engine: this.#engine, requests: this.#requests, page });
  }
}
