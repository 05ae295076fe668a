/** A small client of the gateway's own public API, as a user's program would have: fetch for operations and uploads, graphql-ws to watch. */
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

export class GatewayClient {
  readonly #endpoint: string;
  readonly #sockets: Client;

  constructor(url: string) {
    this.#endpoint = `${url}/graphql`;
    this.#sockets = createClient({
      url: this.#endpoint.replace(/^http/, 'ws'),
      webSocketImpl: WebSocket,
      lazy: true,
    });
  }

  /** Runs one query or mutation. @throws Error with the messages of top-level errors. */
  async execute<T>(query: string, variables: Record<string, unknown> = {}): Promise<T> {
    const response = await fetch(this.#endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json' },
      body: JSON.stringify({ query, variables }),
    });
    return answer<T>(await response.json());
  }

  /** Runs a mutation whose variable `file` is an upload, by the GraphQL multipart request specification. */
  async upload<T>(query: string, file: Blob, filename: string): Promise<T> {
    const form = new FormData();
    form.set('operations', JSON.stringify({ query, variables: { file: null } }));
    form.set('map', JSON.stringify({ 0: ['variables.file'] }));
    form.set('0', file, filename);
    const headers = { 'graphql-require-preflight': 'true' };
    const response = await fetch(this.#endpoint, { method: 'POST', headers, body: form });
    return answer<T>(await response.json());
  }

  /** Watches a subscription over WebSocket; the client reconnects and resubscribes by itself. */
  watch<T>(
    query: string,
    variables: Record<string, unknown>,
  ): AsyncIterableIterator<{ data?: T | null | undefined }> {
    return this.#sockets.iterate<T>({ query, variables });
  }

  async close(): Promise<void> {
    await this.#sockets.dispose();
  }
}

function answer<T>(body: unknown): T {
  const { data, errors } = body as { data?: T | null; errors?: { message: string }[] };
  if (errors?.length || !data)
    throw new Error(errors?.map((error) => error.message).join('; ') || 'the answer holds no data');
  return data;
}
