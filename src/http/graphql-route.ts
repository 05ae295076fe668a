/** /graphql over HTTP: queries, mutations and uploads by POST, queries by GET, subscriptions as server-sent events. */
import type { FastifyInstance } from 'fastify';
import type { Engine } from '../graphql/engine.ts';
import { drain } from './drain.ts';
import { trustOf } from './forwarded.ts';
import { acceptsPage, type GraphiqlPage } from './graphiql.ts';
import type { HttpParts } from './parts.ts';
import { requestInfoOf } from './request-info.ts';
import type { RequestLog } from './request-log.ts';

/** So much of a request that was answered early is still read, so that its client gets to see the answer. */
const DRAIN = { maxBytes: 64 * 2 ** 20, maxMs: 15_000 };

export interface GraphqlRouteParts {
  readonly engine: Engine;
  readonly requests: RequestLog;
  /** For browsers that come by themselves. */
  readonly page: GraphiqlPage | null;
}

export function addGraphqlRoute(
  app: FastifyInstance,
  { config, clock }: HttpParts,
  { engine, requests, page }: GraphqlRouteParts,
): void {
  const trust = trustOf(config.trustProxy);
  app.route({
    method: ['GET', 'POST', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE'],
    url: '/graphql',
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      if (page && acceptsPage(request)) return page.send(request, reply);
      // Yoga writes the answer itself: streams, their pings and their end are its business.
      reply.hijack();
      reply.raw.setHeader('x-request-id', request.id);
      for (const [name, value] of Object.entries(reply.getHeaders())) {
        if (value !== undefined) reply.raw.setHeader(name, value);
      }
      reply.raw.once('finish', () => drain(request.raw, DRAIN, clock));
      const info = requestInfoOf(request.raw, trust, request.id, `http://${config.host}:${config.port}`);
      requests.carries(request, info);
      await engine.handle(request.raw, reply.raw, { info });
    },
  });
}
