/**
 * One line for each request, when it is over, and one for each operation over WebSocket. An idle gateway stays silent: what
 * probes and scrapers ask is said at level debug, whatever they are answered.
 *
 *   requestId client userAgent   who asked: the address is the client's where TRUST_PROXY tells it
 *   method path status           the path has no query: it may hold a signature; null: the client left before it was answered
 *   ms                           from its head to the end of the answer; of a subscription, how long it lasted
 *   requestBytes responseBytes   on the wire, heads included
 *   cut                          true when the answer did not go out whole
 *   operation operationName      of GraphQL: query, mutation or subscription, and what the client calls it
 *   traceId                      where the operation is traced
 *   transport outcome codes      http, sse or websocket; ok or error, with the codes of its errors
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { RequestInfo } from '../graphql/context.ts';
import type { OperationReport } from '../graphql/operation-reports.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { clientSideOf, type Trust } from './forwarded.ts';

const PROBES: ReadonlySet<string> = new Set(['/health', '/status', '/live', '/ready', '/metrics']);
const LONGEST_TEXT = 200;

interface Bytes {
  readonly requestBytes: number;
  readonly responseBytes: number;
}

export interface RequestLogParts {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly trust: Trust;
}

export class RequestLog {
  readonly #parts: RequestLogParts;
  readonly #infos = new WeakMap<FastifyRequest, RequestInfo>();
  readonly #operations = new WeakMap<RequestInfo, OperationReport>();
  /** What went over a connection before the request that it carries now. */
  readonly #before = new WeakMap<Socket, Bytes>();

  constructor(parts: RequestLogParts) {
    this.#parts = parts;
  }

  /** Every answer of the server has its request's id, and its line. */
  addTo(app: FastifyInstance): void {
    app.addHook('onRequest', async (request, reply) => this.#begin(request, reply));
  }

  /** Answers what Fastify's router cannot read, for which it calls no hooks. */
  readonly unreadable = (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    this.#begin(request, reply);
    reply.code(error.statusCode ?? 400).send({ code: 'BAD_USER_INPUT', message: error.message });
  };

  /** The operation of this info came with the request. */
  carries(request: FastifyRequest, info: RequestInfo): void {
    this.#infos.set(request, info);
  }

  onOperation(report: OperationReport): void {
    if (report.transport !== 'websocket') this.#operations.set(report.request, report);
    else
      this.#parts.logger.info(
        { requestId: report.requestId, ...fieldsOf(report), ms: Math.round(report.ms) },
        'operation',
      );
  }

  #begin(request: FastifyRequest, reply: FastifyReply): void {
    const { clock, trust } = this.#parts;
    reply.header('x-request-id', request.id);
    const since = clock.monotonic();
    // asked now: a connection that is closed has no address any more
    const asked = {
      requestId: request.id,
      ...askerOf(request.raw, trust),
      method: request.method,
      path: pathOf(request.raw),
    };
    const { socket } = request.raw;
    // Fastify's own hook is not called when the client has gone
    reply.raw.once('close', () => {
      const { headersSent, statusCode, writableFinished } = reply.raw;
      const status = headersSent ? statusCode : null;
      const ms = Math.round(clock.monotonic() - since);
      const came = { status, ms, ...this.#bytesOf(socket), ...(!writableFinished && { cut: true }) };
      const level = PROBES.has(asked.path) ? 'debug' : statusCode >= 500 ? 'warn' : 'info';
      this.#write(level, { ...asked, ...came }, this.#infos.get(request));
    });
  }

  #write(level: 'debug' | 'info' | 'warn', fields: object, info: RequestInfo | undefined): void {
    const write = (): void => {
      const report = info && this.#operations.get(info);
      this.#parts.logger[level]({ ...fields, ...(report && fieldsOf(report)) }, 'request');
    };
    // a stream is told to be over a moment after its connection
    if (info && !this.#operations.has(info)) setImmediate(write);
    else write();
  }

  #bytesOf(socket: Socket): Bytes {
    const { requestBytes, responseBytes } = this.#before.get(socket) ?? { requestBytes: 0, responseBytes: 0 };
    const now = bytesOver(socket);
    this.#before.set(socket, now);
    return {
      requestBytes: now.requestBytes - requestBytes,
      responseBytes: now.responseBytes - responseBytes,
    };
  }
}

/** All that went over the connection so far. */
export function bytesOver({ bytesRead, bytesWritten }: Socket): Bytes {
  return { requestBytes: bytesRead, responseBytes: bytesWritten };
}

/** Who asks, as log lines name it. */
export function askerOf(request: IncomingMessage, trust: Trust): object {
  const userAgent = request.headers['user-agent']?.slice(0, LONGEST_TEXT);
  return { client: clientSideOf(request, trust).address, ...(userAgent !== undefined && { userAgent }) };
}

export function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0]?.slice(0, LONGEST_TEXT) ?? '';
}

function fieldsOf({ type, name, transport, outcome, codes, request }: OperationReport): object {
  return {
    ...(request.traceId !== undefined && { traceId: request.traceId }),
    transport,
    operation: type,
    ...(name !== null && { operationName: name }),
    outcome,
    ...(codes.length > 0 && { codes }),
  };
}
