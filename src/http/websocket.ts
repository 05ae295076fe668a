/**
 * Operations over WebSocket (graphql-transport-ws). A mistake in one operation never closes the socket; a client that
 * does not read, or comes in too large a crowd, is sent away in a way that makes it come back.
 */
import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ExecutionArgs, GraphQLError } from 'graphql';
import { handleProtocols, makeServer, type SubscribePayload } from 'graphql-ws';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { badInput, codedError } from '../graphql/coded-error.ts';
import type { Engine } from '../graphql/engine.ts';
import type { OperationReports, OperationWatch } from '../graphql/operation-reports.ts';
import { type Clock, pause } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Admission } from './admission.ts';
import { type Trust, trustOf } from './forwarded.ts';
import type { ConnectionLimits } from './limits.ts';
import { paced } from './paced.ts';
import type { HttpParts } from './parts.ts';
import { allowedOrigins, isCrossSite, requestIdOf, requestInfoOf } from './request-info.ts';
import { askerOf, bytesOver, pathOf } from './request-log.ts';
import { SocketGuard, TRY_AGAIN_LATER } from './socket-guard.ts';
import { isSubscription, type Prepared, prepare } from './socket-operations.ts';
import { type Connection, type GraphqlProtocol, speak } from './socket-protocol.ts';

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
  readonly #reports: OperationReports;
  readonly #sockets: WebSocketServer;
  readonly #admission: Admission;
  readonly #trust: Trust;
  readonly #log: Logger;
  readonly #clock: Clock;
  /** The operations of each socket by their ids. */
  readonly #operations = new Map<unknown, Map<string, Kind>>();
  readonly #requestIds = new WeakMap<IncomingMessage, string>();
  readonly #protocol: GraphqlProtocol;
  #server: Server | undefined;
  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void =>
    this.#upgrade(request, socket, head);

  constructor(parts: HttpParts, limits: ConnectionLimits, engine: Engine, reports: OperationReports) {
    this.#parts = parts;
    this.#limits = limits;
    this.#engine = engine;
    this.#reports = reports;
    this.#trust = trustOf(parts.config.trustProxy);
    this.#log = parts.logger.child({ part: 'websocket' });
    this.#clock = parts.clock;
    this.#admission = new Admission(limits.connectsPerSecond, parts.clock);
    const options: ServerOptions = { noServer: true, maxPayload: parts.config.maxBodyBytes, handleProtocols };
    this.#sockets = new WebSocketServer(options);
    this.#sockets.on('headers', (headers, request) => {
      headers.push(`x-request-id: ${this.#requestIds.get(request)}`);
    });
    this.#protocol = makeServer<Record<string, unknown> | undefined, Connection>({
      connectionInitWaitTimeout: INIT_TIMEOUT_MS,
      execute: (args) => (args as Prepared).rootValue.execute(args),
      subscribe: (args) => (args as Prepared).rootValue.subscribe(args),
      onSubscribe: (context, id, payload) => this.#prepare(context, context.extra, id, payload),
      onComplete: (context, id) => void this.#operations.get(context)?.delete(id),
      onClose: (context) => void this.#operations.delete(context),
    });
  }

  attach(server: Server): void {
    this.#server = server;
    server.on('upgrade', this.#onUpgrade);
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
    await new Promise<void>((resolve) => this.#sockets.close(() => resolve()));
    cut.cancel();
  }

  #answering(): boolean {
    return [...this.#operations.values()].some((kinds) => [...kinds.values()].includes('answer'));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', (error) => this.#log.debug({ err: error }, 'socket failed'));
    const refusal = this.#refusal(request);
    const requestId = requestIdOf(request.headers, this.#parts.ids);
    const asked = { requestId, ...askerOf(request, this.#trust), path: pathOf(request) };
    if (refusal !== null) {
      // the server keeps half-open connections, and would wait for this one when it stops
      socket.once('finish', () => socket.destroy());
      socket.end(refusalOf(refusal, requestId));
      this.#log.info({ ...asked, status: refusal }, 'socket refused');
      return;
    }
    this.#requestIds.set(request, requestId);
    this.#log.info(asked, 'socket asked for');
    const log = this.#log.child({ requestId });
    const since = this.#clock.monotonic();
    const welcome = this.#sockets.clients.size < this.#limits.maxSockets && this.#admission.admit();
    this.#sockets.handleUpgrade(request, socket, head, (accepted) => {
      // ws itself closes the socket with the fitting code
      accepted.on('error', (error) => log.debug({ err: error }, 'socket failed'));
      this.#parts.observer?.onSocket(1);
      accepted.once('close', (code) => {
        this.#parts.observer?.onSocket(-1);
        const ms = Math.round(this.#clock.monotonic() - since);
        log.info({ ms, code, ...bytesOver(socket as Socket) }, 'socket closed');
      });
      if (!welcome) return this.#sendAway(accepted);
      const parts = { clock: this.#clock, logger: log, limits: this.#limits };
      const guard = new SocketGuard(accepted, socket as Socket, parts);
      speak(this.#protocol, { socket: accepted, guard, request }, log);
    });
  }

  /** The status to refuse the handshake with. */
  #refusal(request: IncomingMessage): 404 | 403 | null {
    if (request.url?.split('?', 1)[0] !== '/graphql') return 404;
    return isCrossSite(request, this.#trust, allowedOrigins(this.#parts.config)) ? 403 : null;
  }

  /**
   * Not by a status: after a handshake that failed some clients do not try again (graphql-ws on `ws`, for one), after this
   * code all do.
   */
  #sendAway(socket: WebSocket): void {
    socket.close(TRY_AGAIN_LATER, 'too many connections at once');
    const cut = this.#clock.after(CLOSE_MS, () => socket.terminate());
    socket.once('close', () => cut.cancel());
  }

  async #prepare(
    context: unknown,
    { request, guard }: Connection,
    id: string,
    payload: SubscribePayload,
  ): Promise<Prepared | readonly GraphQLError[]> {
    const { config, ids } = this.#parts;
    const requestId = this.#requestIds.get(request) ?? ids();
    const { traceparent } = payload.extensions ?? {};
    const info = {
      ...requestInfoOf(request, this.#trust, requestId, `http://${config.host}:${config.port}`),
      // a browser can give a socket no header
      ...(typeof traceparent === 'string' && { traceparent }),
    };
    const watch = this.#reports.begin(info, 'websocket');
    const refusal = this.#admit(context, id);
    const prepared = refusal ? [refusal] : await prepare(this.#engine, payload, { info, watch }, this.#log);
    if ('map' in prepared) {
      if (!refusal) this.#operations.get(context)?.delete(id);
      watch.came({ errors: prepared });
      return prepared;
    }
    const operations = this.#operations.get(context);
    if (isSubscription(prepared) && operations?.has(id)) operations.set(id, 'stream');
    return watched(prepared, watch, () => guard.room());
  }

  /** Counts it, before anything is awaited, so that a burst does not slip through; or says why not. */
  #admit(context: unknown, id: string): GraphQLError | null {
    const operations = this.#operations.get(context) ?? new Map<string, Kind>();
    // graphql-ws would take the end of the one for the end of the other, and never end that
    if (operations.has(id)) return badInput(`the operation ${id.slice(0, 100)} has not ended yet`);
    if (operations.size >= MAX_OPERATIONS_PER_SOCKET) {
      const message = `one socket may have ${MAX_OPERATIONS_PER_SOCKET} operations at once`;
      return codedError('TOO_MANY_SUBSCRIPTIONS', message);
    }
    this.#operations.set(context, operations.set(id, 'answer'));
    return null;
  }
}

/** The answer to a handshake that is not for us. */
function refusalOf(status: number, requestId: string): string {
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, `X-Request-Id: ${requestId}`];
  return [...head, 'Connection: close', 'Content-Length: 0', '', ''].join('\r\n');
}

/** Runs as before, but tells what it comes to, and of a stream takes the next result only when there is room for it. */
function watched(prepared: Prepared, watch: OperationWatch, room: () => Promise<void>): Prepared {
  const { execute, subscribe } = prepared.rootValue;
  return {
    ...prepared,
    rootValue: {
      execute: async (args: ExecutionArgs) => watch.came(await execute(args)),
      async subscribe(args: ExecutionArgs) {
        const results = await subscribe(args);
        return watch.came(Symbol.asyncIterator in results ? paced(results, room) : results);
      },
    },
  };
}
