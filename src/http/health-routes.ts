/** For monitors and orchestrators: /health and /status say how it is, /live that it runs, /ready that it can be sent work. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { HealthReport, HealthStatus } from '../graphql/health-report.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from '../store/open.ts';
import { StatusLines } from './status-line.ts';

export interface HealthSources {
  readonly health: () => Promise<HealthReport>;
  readonly store: Pick<Store, 'healthy'>;
  readonly clock: Clock;
  /** In a process that schedules only: it leads the fleet, else it stands by. */
  readonly leads?: () => boolean;
}

export function addHealthRoutes(
  app: FastifyInstance,
  services: HealthSources,
  stopping: () => boolean,
): void {
  const statusLines = new StatusLines(services);
  app.addHook('onSend', async (request, reply) => {
    if (/^\/(health|status|live|ready)\b/.test(request.url)) reply.header('cache-control', 'no-store');
  });
  app.get('/health', async (_request, reply) => {
    const report = await services.health();
    return reply.code(codeOf(report.status)).send(report);
  });
  app.get('/status', async (_request, reply) => {
    const { status, line } = await statusLines.now();
    return reply.code(codeOf(status)).type('text/plain; charset=utf-8').send(`${line}\n`);
  });
  app.get('/live', async (_request, reply) => reply.send({ live: true }));
  app.get('/ready', async (_request, reply) => {
    if (stopping()) return notReady(reply, 'it is shutting down');
    if (!(await services.store.healthy())) return notReady(reply, 'the store does not answer');
    const { leads } = services;
    return reply.send({ ready: true, ...(leads && { scheduler: leads() ? 'leader' : 'standby' }) });
  });
}

function notReady(reply: FastifyReply, reason: string): FastifyReply {
  return reply.code(503).send({ ready: false, reason });
}

function codeOf(status: HealthStatus): number {
  return status === 'HEALTHY' ? 200 : 503;
}
