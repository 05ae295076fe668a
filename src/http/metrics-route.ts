/** Figures for Prometheus, in its text format: of this process, and of the fleet where this process leads it. */
import type { FastifyInstance } from 'fastify';
import type { Exposition } from '../metrics/prometheus/exposition.ts';

/** Without an exposition nothing is served there. */
export function addMetricsRoute(app: FastifyInstance, exposition: Exposition | null): void {
  if (!exposition) return;
  app.get('/metrics', async (_request, reply) =>
    reply
      .header('cache-control', 'no-store')
      .type(exposition.contentType)
      .send(await exposition.text()),
  );
}
