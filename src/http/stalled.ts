/** Cuts an answer that its client does not take: one that waits to be sent and has not moved on for so long. */
import type { ServerResponse } from 'node:http';
import type { Plugin } from 'graphql-yoga';
import type { GraphqlContext } from '../graphql/context.ts';
import type { TransportContext } from '../graphql/engine.ts';
import type { Logger } from '../lib/logger.ts';

interface NodeContext extends TransportContext {
  readonly res: ServerResponse;
}

/** For all answers of GraphQL over HTTP, streams included. */
export function useStallTimeout(
  stallMs: number,
  logger: Logger,
): Plugin<object, NodeContext, GraphqlContext> {
  return {
    onResponse({ serverContext: { res, info } }) {
      const log = logger.child({ requestId: info.requestId });
      // when it begins to send, which is next, Yoga takes every timeout from the connection
      setImmediate(() => cutWhenStalled(res, stallMs, log));
    },
  };
}

/** A client that reads slowly moves on; a stream with nothing to say has nothing that waits. */
function cutWhenStalled(response: ServerResponse, stallMs: number, logger: Logger): void {
  if (response.destroyed || response.writableFinished) return;
  response.setTimeout(stallMs);
  // with a listener, Node leaves it to us what a timeout means
  response.on('timeout', () => {
    if (response.writableLength === 0) {
      response.setTimeout(stallMs);
      return;
    }
    const reason = 'it does not read its answer';
    logger.warn({ reason, unsentBytes: response.writableLength }, 'a slow client is disconnected');
    response.destroy();
  });
}
