/**
 * Operations over WebSocket (graphql-transport-ws) through the same engine as HTTP, so schema, limits, contexts and
 * masking are the same. A mistake in one operation is that operation's error and never closes the socket.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ExecutionArgs, GraphQLError } from 'graphql';
import type { SubscribePayload } from 'graphql-ws';
import { type Extra, useServer } from 'graphql-ws/use/ws';
import { type ServerOptions, WebSocketServer } from 'ws';
import { codedError } from '../graphql/coded-error.ts';
import type { Engine } from '../graphql/engine.ts';
import type { Clock } from '../lib/clock.ts';
import { pause } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { HttpParts } from './parts.ts';
import { allowedOrigins, isCrossSite, requestIdOf, requestInfoOf } from './request-info.ts';

const MAX_OPERATIONS_PER_SOCKET = 100;
const INIT_TIMEOUT_MS = 5000;
const PING_MS = 12_000;
/** How long a closing socket may take to send what its operations said last. */
const FAREWELL_MS = 500;
/** How long a client may take to answer the closing frame. */
const CLOSE_MS = 1000;

type Enveloped = ReturnType<Engine['getEnveloped']>;
interface Prepared extends ExecutionArgs {
  readonly rootValue: Pick<Enveloped, 'execute' | 'subscribe'>;
}

export class WebSocketTransport {
  readonly #parts: HttpParts;
  readonly #engine: Engine;
  readonly #sockets: WebSocketServer;
  readonly #log: Logger;
  readonly #clock: Clock;
  /** Ids of the operations of each socket. */
  readonly #operations = new Map<unknown, Set<string>>();
  readonly #requestIds = new WeakMap<IncomingMessage, string>();
  #dispose: (() => Promise<void>) | undefined;
  #server: Server | undefined;
  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void =>
    this.#upgrade(request, socket, head);

  constructor(parts: HttpParts, engine: Engine) {
    this.#parts = parts;
    this.#engine = engine;
    this.#log = parts.logger.child({ part: 'websocket' });
    this.#clock = parts.clock;
    const options: ServerOptions = { noServer: true, maxPayload: parts.config.maxBodyBytes };
    this.#sockets = new WebSocketServer(options);
    this.#sockets.on('headers', (headers, request) => {
      headers.push(`x-request-id: ${this.#requestIds.get(request)}`);
    });
  }

  attach(server: Server): void {
    this.#server = server;
    server.on('upgrade', this.#onUpgrade);
    const { dispose } = useServer<Record<string, unknown> | undefined, Partial<Extra>>(
      {
        connectionInitWaitTimeout: INIT_TIMEOUT_MS,
        execute: (args) => (args as Prepared).rootValue.execute(args),
        subscribe: (args) => (args as Prepared).rootValue.subscribe(args),
        onSubscribe: (context, id, payload) => this.#prepare(context.extra.request, context, id, payload),
        onComplete: (context, id) => void this.#operations.get(context)?.delete(id),
        onClose: (context) => void this.#operations.delete(context),
      },
      this.#sockets,
      PING_MS,
    );
    this.#dispose = dispose as () => Promise<void>;
  }

  /** Call it once the subscriptions have been told to end: their last messages still go out. */
  async stop(): Promise<void> {
    this.#server?.off('upgrade', this.#onUpgrade);
    const until = this.#clock.monotonic() + FAREWELL_MS;
    while (this.#busy() && this.#clock.monotonic() < until) await pause(this.#clock, 10);
    const cut = this.#clock.after(CLOSE_MS, () => {
      for (const socket of this.#sockets.clients) socket.terminate();
    });
    try {
      await this.#dispose?.();
    } finally {
      cut.cancel();
    }
    this.#dispose = undefined;
  }

  #busy(): boolean {
    return [...this.#operations.values()].some((ids) => ids.size > 0);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', (error) => this.#log.debug({ err: error }, 'socket failed'));
    const path = request.url?.split('?', 1)[0];
    const allowed = allowedOrigins(this.#parts.config);
    const refusal =
      path !== '/graphql' ? '404 Not Found' : isCrossSite(request, allowed) ? '403 Forbidden' : null;
    if (refusal) {
      // the server keeps half-open connections, and would wait for this one when it stops
      socket.once('finish', () => socket.destroy());
      socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    this.#requestIds.set(request, requestIdOf(request.headers, this.#parts.ids));
    this.#sockets.handleUpgrade(request, socket, head, (accepted) => {
      this.#sockets.emit('connection', accepted, request);
      // graphql-ws would write to the console; ws itself closes the socket with the fitting code.
      accepted.removeAllListeners('error');
      accepted.on('error', (error) => this.#log.debug({ err: error }, 'socket failed'));
    });
  }

  async #prepare(
    request: IncomingMessage | undefined,
    socket: unknown,
    id: string,
    payload: SubscribePayload,
  ): Promise<Prepared | readonly GraphQLError[]> {
    const { config, ids } = this.#parts;
    const operations = this.#operations.get(socket) ?? new Set();
    if (operations.size >= MAX_OPERATIONS_PER_SOCKET) {
      const message = `one socket may have ${MAX_OPERATIONS_PER_SOCKET} operations at once`;
      return [codedError('TOO_MANY_SUBSCRIPTIONS', message)];
    }
    // Counted before anything is awaited, so that a burst does not slip through.
    this.#operations.set(socket, operations.add(id));
    const requestId = (request && this.#requestIds.get(request)) ?? ids();
    const fallback = `http://${config.host}:${config.port}`;
    const info = request ? requestInfoOf(request, requestId, fallback) : { requestId, origin: fallback };
    const args = await this.#args(payload, info);
    if (Array.isArray(args)) operations.delete(id);
    return args;
  }

  async #args(
    payload: SubscribePayload,
    info: { requestId: string; origin: string },
  ): Promise<Prepared | readonly GraphQLError[]> {
    const { query, variables, operationName } = payload;
    const enveloped = this.#engine.getEnveloped({ info, params: payload });
    const { schema, parse, validate, contextFactory, execute, subscribe } = enveloped;
    try {
      const document = parse(query);
      const errors = validate(schema, document);
      if (errors.length > 0)
        return errors.map((error: GraphQLError) => coded(error, 'GRAPHQL_VALIDATION_FAILED'));
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
      this.#log.error({ err: error, requestId: info.requestId }, 'operation could not be prepared');
      return [codedError('INTERNAL_SERVER_ERROR', 'an internal error')];
    }
  }
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
