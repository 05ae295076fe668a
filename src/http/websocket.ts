/**
 * Operations over WebSocket (graphql-transport-ws). A mistake in one operation never closes the socket; a client that
 * does not read, or comes in too large a crowd, is sent away in a way that makes it come back.
 */
import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ExecutionArgs, GraphQLError } from 'graphql';
import type { SubscribePayload } from 'graphql-ws';
import { type Extra, useServer } from 'graphql-ws/use/ws';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { codedError } from '../graphql/coded-error.ts';
import type { Engine } from '../graphql/engine.ts';
import { type Clock, pause } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Admission } from './admission.ts';
import type { ConnectionLimits } from './limits.ts';
import { paced } from './paced.ts';
import type { HttpParts } from './parts.ts';
import { allowedOrigins, isCrossSite, requestIdOf, requestInfoOf } from './request-info.ts';
import { SocketGuard } from './socket-guard.ts';
import { isSubscription, type Prepared, prepare } from './socket-operations.ts';

const MAX_OPERATIONS_PER_SOCKET = 100;
const INIT_TIMEOUT_MS = 5000;
/** How long a client may take to answer the closing frame. */
const CLOSE_MS = 1000;
/** "Service restart": clients connect again, and repeat their subscriptions there. */
const SERVICE_RESTART = 1012;

/** What an operation is to a gateway that stops: an answer is waited for, a stream is not. */
type Kind = 'answer' | 'stream';

export class WebSocketTransport {
  readonly #parts: HttpParts;
  readonly #limits: ConnectionLimits;
  readonly #engine: Engine;
  readonly #sockets: WebSocketServer;
  readonly #admission: Admission;
  readonly #log: Logger;
  readonly #clock: Clock;
  /** The operations of each socket by their ids. */
  readonly #operations = new Map<unknown, Map<string, Kind>>();
  readonly #requestIds = new WeakMap<IncomingMessage, string>();
  readonly #guards = new WeakMap<WebSocket, SocketGuard>();
  #dispose: (() => Promise<void>) | undefined;
  #server: Server | undefined;
  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void =>
    this.#upgrade(request, socket, head);

  constructor(parts: HttpParts, limits: ConnectionLimits, engine: Engine) {
    this.#parts = parts;
    this.#limits = limits;
    this.#engine = engine;
    this.#log = parts.logger.child({ part: 'websocket' });
    this.#clock = parts.clock;
    this.#admission = new Admission(limits.connectsPerSecond, parts.clock);
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
        onSubscribe: (context, id, payload) => this.#prepare(context, context.extra, id, payload),
        onComplete: (context, id) => void this.#operations.get(context)?.delete(id),
        onClose: (context) => void this.#operations.delete(context),
      },
      this.#sockets,
      // the guards ping
      0,
    );
    this.#dispose = dispose as () => Promise<void>;
  }

  /** Answers that are being made still go out, for so long; then every socket is closed. */
  async stop(graceMs: number): Promise<void> {
    this.#server?.off('upgrade', this.#onUpgrade);
    const until = this.#clock.monotonic() + graceMs - CLOSE_MS;
    while (this.#answering() && this.#clock.monotonic() < until) await pause(this.#clock, 10);
    for (const socket of this.#sockets.clients) socket.close(SERVICE_RESTART, 'the gateway restarts');
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

  #answering(): boolean {
    return [...this.#operations.values()].some((kinds) => [...kinds.values()].includes('answer'));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', (error) => this.#log.debug({ err: error }, 'socket failed'));
    const refusal = this.#refusal(request);
    if (refusal !== null) {
      // the server keeps half-open connections, and would wait for this one when it stops
      socket.once('finish', () => socket.destroy());
      const retry = refusal === 503 ? 'Retry-After: 1\r\n' : '';
      socket.end(
        `HTTP/1.1 ${refusal} ${STATUS_CODES[refusal]}\r\nConnection: close\r\n${retry}Content-Length: 0\r\n\r\n`,
      );
      return;
    }
    this.#requestIds.set(request, requestIdOf(request.headers, this.#parts.ids));
    this.#sockets.handleUpgrade(request, socket, head, (accepted) => {
      if (socket instanceof Socket) this.#guard(accepted, socket);
      this.#sockets.emit('connection', accepted, request);
      // graphql-ws would write to the console; ws itself closes the socket with the fitting code.
      accepted.removeAllListeners('error');
      accepted.on('error', (error) => this.#log.debug({ err: error }, 'socket failed'));
    });
  }

  /** The status of the refusal. 503 costs less than a socket that is closed at once, and clients try again after it too. */
  #refusal(request: IncomingMessage): number | null {
    if (request.url?.split('?', 1)[0] !== '/graphql') return 404;
    if (isCrossSite(request, allowedOrigins(this.#parts.config))) return 403;
    const room = this.#sockets.clients.size < this.#limits.maxSockets;
    return room && this.#admission.admit() ? null : 503;
  }

  #guard(socket: WebSocket, connection: Socket): void {
    const parts = { clock: this.#clock, logger: this.#log, limits: this.#limits };
    this.#guards.set(socket, new SocketGuard(socket, connection, parts));
  }

  async #prepare(
    context: unknown,
    { request, socket }: Partial<Extra>,
    id: string,
    payload: SubscribePayload,
  ): Promise<Prepared | readonly GraphQLError[]> {
    const { config, ids } = this.#parts;
    const operations = this.#operations.get(context) ?? new Map<string, Kind>();
    if (operations.size >= MAX_OPERATIONS_PER_SOCKET) {
      const message = `one socket may have ${MAX_OPERATIONS_PER_SOCKET} operations at once`;
      return [codedError('TOO_MANY_SUBSCRIPTIONS', message)];
    }
    // Counted before anything is awaited, so that a burst does not slip through.
    this.#operations.set(context, operations.set(id, 'answer'));
    const requestId = (request && this.#requestIds.get(request)) ?? ids();
    const fallback = `http://${config.host}:${config.port}`;
    const info = request ? requestInfoOf(request, requestId, fallback) : { requestId, origin: fallback };
    const prepared = await prepare(this.#engine, payload, info, this.#log);
    if ('map' in prepared) {
      operations.delete(id);
      return prepared;
    }
    if (!isSubscription(prepared)) return prepared;
    if (operations.has(id)) operations.set(id, 'stream');
    const guard = socket && this.#guards.get(socket);
    return guard ? withPace(prepared, () => guard.room()) : prepared;
  }
}

function withPace(prepared: Prepared, room: () => Promise<void>): Prepared {
  const { execute, subscribe } = prepared.rootValue;
  return {
    ...prepared,
    rootValue: {
      execute,
      async subscribe(args: ExecutionArgs) {
        const results = await subscribe(args);
        return Symbol.asyncIterator in results ? paced(results, room) : results;
      },
    },
  };
}
