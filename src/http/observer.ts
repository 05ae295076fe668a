/** Whom the HTTP side tells of what comes in, for figures. It does not wait for them. */
import type { FastifyInstance } from 'fastify';
import type { OperationObserver } from '../graphql/operation-reports.ts';

export interface ServedRequest {
  /** Template of its path, /files/:name; null where nothing is served. */
  readonly route: string | null;
  readonly method: string;
  readonly status: number;
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

export function observeRequests(app: FastifyInstance, observer: RequestObserver): void {
  app.addHook('onResponse', async ({ routeOptions, method }, { statusCode: status, elapsedTime: ms }) =>
    observer.onRequest({ route: routeOptions.url ?? null, method, status, ms }),
  );
}
