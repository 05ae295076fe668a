/**
 * Subscriptions over plain HTTP: how many may be open at once, and their end when the gateway stops. They are cut, not
 * completed: an orderly end would tell the client that nothing more is to come, after a cut it comes back.
 */
import type { ServerResponse } from 'node:http';
import type { Plugin } from 'graphql-yoga';
import { codedError } from '../graphql/coded-error.ts';
import type { GraphqlContext } from '../graphql/context.ts';
import type { TransportContext } from '../graphql/engine.ts';

export class EventStreams {
  readonly #most: number;
  readonly #open = new Set<ServerResponse>();
  #over = false;

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Counts the response until it is closed; false when it is already, there are too many, or no more are wanted. */
  admit(response: ServerResponse): boolean {
    if (this.#over || response.closed || this.#open.size >= this.#most) return false;
    this.#open.add(response);
    response.once('close', () => this.#open.delete(response));
    return true;
  }

  /** Ends them all, and lets no more in. */
  cut(): void {
    this.#over = true;
    for (const response of this.#open) response.destroy();
  }
}

/**
 * Clients of server-sent events take 503 for a reason to come again. Proxies must hand events on as they come: nginx is
 * told by a header of its own, others understand that nothing may be kept or transformed.
 */
export function useEventStreams(streams: EventStreams): Plugin<object, TransportContext, GraphqlContext> {
  return {
    onSubscribe({ args, setResultAndStopExecution }) {
      const { res } = args.contextValue as { readonly res?: ServerResponse };
      if (!res || streams.admit(res)) return;
      const error = codedError(
        'TOO_MANY_SUBSCRIPTIONS',
        'too many subscriptions are open; try again later',
        503,
      );
      setResultAndStopExecution({ errors: [error] });
    },
    onResponse({ response }) {
      if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return;
      response.headers.set('x-accel-buffering', 'no');
      response.headers.set('cache-control', 'no-cache, no-store, no-transform');
    },
  };
}
