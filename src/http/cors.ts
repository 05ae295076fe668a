/** Which pages of other origins may call the gateway: those of the allow-list, without cookies; nobody when it is empty. */
import type { FastifyInstance } from 'fastify';

const METHODS = 'GET, HEAD, POST, OPTIONS';
const EXPOSED = 'x-request-id, content-range, accept-ranges, etag, content-disposition';

export function addCors(app: FastifyInstance, allowed: readonly string[]): void {
  if (allowed.length === 0) return;
  app.addHook('onRequest', async (request, reply) => {
    const { origin } = request.headers;
    reply.header('vary', 'origin');
    if (origin === undefined || !allowed.includes(origin)) return;
    reply.header('access-control-allow-origin', origin);
    reply.header('access-control-expose-headers', EXPOSED);
    const wanted = request.headers['access-control-request-headers'];
    if (request.method !== 'OPTIONS' || !request.headers['access-control-request-method']) return;
    reply.header('access-control-allow-methods', METHODS);
    if (wanted) reply.header('access-control-allow-headers', wanted);
    reply.header('access-control-max-age', '600');
    await reply.code(204).send();
  });
}
