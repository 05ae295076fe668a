/** Reads a subscription in a test: values are kept as they come, and waited for by what they say. */
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { eventually } from './eventually.ts';

export interface Watch<T> {
  readonly values: T[];
  readonly errors: readonly { message: string; extensions?: Record<string, unknown> }[];
  readonly done: () => boolean;
  /** The first value (from `from` on) that the test accepts. */
  until(accepts: (value: T) => boolean, what?: string): Promise<T>;
  ended(): Promise<void>;
  stop(): void;
}

export function socketClient(url: string): Client {
  return createClient({ url, webSocketImpl: WebSocket, retryAttempts: 0, lazy: true });
}

export function watch<T>(client: Client, query: string, variables: Record<string, unknown> = {}): Watch<T> {
  const values: T[] = [];
  const errors: { message: string; extensions?: Record<string, unknown> }[] = [];
  let done = false;
  const stop = client.subscribe<Record<string, T>>(
    { query, variables },
    {
      next: ({ data, errors: failed }) => {
        if (failed) errors.push(...(failed as typeof errors));
        const value = data && Object.values(data)[0];
        if (value) values.push(value);
      },
      error: (error) => {
        errors.push(...(Array.isArray(error) ? error : [error as { message: string }]));
        done = true;
      },
      complete: () => {
        done = true;
      },
    },
  );
  return {
    values,
    errors,
    done: () => done,
    until: (accepts, what) => eventually(() => values.find(accepts), what === undefined ? {} : { what }),
    async ended() {
      await eventually(() => done, { what: 'the end of the subscription' });
    },
    stop,
  };
}
