/** Whom the HTTP side tells of what comes in, for figures. It does not wait for them. */
import type { FastifyInstance } from 'fastify';
import type { OperationObserver } from '../graphql/operation-reports.ts';
import type { Clock } from '../lib/clock.ts';

/** No status of HTTP: what proxies write down then. */
const CLIENT_LEFT = 499;

export interface ServedRequest {
  /** Template of its path, /files/:name; null where nothing is served. */
  readonly route: string | null;
  readonly method: string;
  /** 499: the client left before it was answered. */
  readonly status: number;
  /** From its head to the end of the answer, or until that was cut. */
  readonly ms: number;
}

export interface RequestObserver {
  /** Its answer went out, or was cut. */
  onRequest(request: ServedRequest): void;
}

export interface HttpObserver extends OperationObserver, RequestObserver {
  /** A WebSocket opened (1) or closed (-1). */
  onSocket(by: 1 | -1): void;
}

/** Fastify's own hook is not called when the client has gone, so the answer itself is listened to. */
export function observeRequests(app: FastifyInstance, observer: RequestObserver, clock: Clock): void {
  app.addHook('onRequest', async ({ routeOptions, method }, { raw }) => {
    const since = clock.monotonic();
    raw.once('close', () => {
      const status = raw.headersSent ? raw.statusCode : CLIENT_LEFT;
      observer.onRequest({ route: routeOptions.url ?? null, method, status, ms: clock.monotonic() - since });
    });
  });
}
