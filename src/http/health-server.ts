/** The only door of a process that serves no clients: how it is, for monitors and orchestrators; figures, for Prometheus. */
import { type FastifyInstance, fastify } from 'fastify';
import type { Config } from '../config.ts';
import type { HealthReport } from '../graphql/health-report.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Service } from '../lib/service.ts';
import type { Exposition } from '../metrics/prometheus/exposition.ts';
import type { Store } from '../store/open.ts';
import { trustOf } from './forwarded.ts';
import { addHealthRoutes } from './health-routes.ts';
import { addMetricsRoute } from './metrics-route.ts';
import { observeRequests, type RequestObserver } from './observer.ts';
import { requestIdOf } from './request-info.ts';
import { RequestLog } from './request-log.ts';

export interface HealthServerParts {
  readonly config: Pick<Config, 'host' | 'port' | 'trustProxy'>;
  /** New ids for requests that bring none. */
  readonly ids: () => string;
  readonly clock: Clock;
  readonly store: Pick<Store, 'healthy'>;
  readonly health: () => Promise<HealthReport>;
  /** It leads the fleet, else it stands by. */
  readonly leads: () => boolean;
  readonly observer?: RequestObserver;
  /** What /metrics answers; null: nothing is served there. */
  readonly exposition?: Exposition | null;
  readonly logger: Logger;
}

export interface HealthServer extends Service {
  /** Where it listens, without a trailing slash; throws before it has started. */
  readonly url: string;
  /** Says that it is not ready. */
  drain(): void;
}

export function createHealthServer(parts: HealthServerParts): HealthServer {
  return new FastifyHealthServer(parts);
}

class FastifyHealthServer implements HealthServer {
  readonly #parts: HealthServerParts;
  readonly #app: FastifyInstance;
  #draining = false;
  #url: string | undefined;

  constructor(parts: HealthServerParts) {
    this.#parts = parts;
    const requests = new RequestLog({ ...parts, trust: trustOf(parts.config.trustProxy) });
    this.#app = fastify({
      logger: false,
      forceCloseConnections: true,
      requestTimeout: 10_000,
      genReqId: (request) => requestIdOf(request.headers, parts.ids),
      frameworkErrors: requests.unreadable,
    });
    requests.addTo(this.#app);
    this.#app.setNotFoundHandler((_request, reply) =>
      reply.code(404).send({ code: 'NOT_FOUND', message: 'this process serves its health only' }),
    );
    if (parts.observer) observeRequests(this.#app, parts.observer, parts.clock);
    addHealthRoutes(this.#app, parts, () => this.#draining);
    addMetricsRoute(this.#app, parts.exposition ?? null);
  }

  get url(): string {
    if (!this.#url) throw new Error('the server has not started');
    return this.#url;
  }

  async start(): Promise<void> {
    const { host, port } = this.#parts.config;
    this.#url = (await this.#app.listen({ host, port })).replace(/\/$/, '');
    this.#parts.logger.info({ url: this.#url }, 'listening');
  }

  drain(): void {
    this.#draining = true;
  }

  async stop(): Promise<void> {
    this.drain();
    await this.#app.close();
  }
}
