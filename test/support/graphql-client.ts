/** A client of the gateway for tests: fetch for operations and uploads, graphql-ws and graphql-sse to watch. */
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createSocketClient } from 'graphql-ws';
import { WebSocket } from 'ws';

/** One answer as it came over HTTP. */
export interface Answer<T> {
  readonly status: number;
  readonly data: T | null | undefined;
  readonly errors: readonly {
    readonly message: string;
    readonly path?: readonly (string | number)[];
    readonly extensions?: Readonly<Record<string, unknown>>;
  }[];
}

export type Variables = Record<string, unknown>;

/** A subscription's results, one after the other. */
export type Results<T> = AsyncIterableIterator<{
  readonly data?: T | null | undefined;
  readonly errors?: readonly { readonly message: string }[] | undefined;
}>;

/** What becomes of one file of an upload request. */
export interface PartFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly name?: string;
  readonly type?: string;
}

export class TestClient {
  readonly endpoint: string;
  readonly #sockets;
  readonly #events;

  constructor(url: string) {
    this.endpoint = `${url}/graphql`;
    this.#sockets = createSocketClient({
      url: this.endpoint.replace(/^http/, 'ws'),
      webSocketImpl: WebSocket,
      retryAttempts: 0,
    });
    this.#events = createSseClient({ url: this.endpoint, retryAttempts: 0 });
  }

  /** The answer as it is, errors included. */
  async ask<T>(query: string, variables: Variables = {}, signal?: AbortSignal): Promise<Answer<T>> {
    return this.post<T>(JSON.stringify({ query, variables }), signal);
  }

  /** Any body, sent as JSON. */
  async post<T>(body: string, signal?: AbortSignal): Promise<Answer<T>> {
    const headers = { 'content-type': 'application/json', accept: 'application/graphql-response+json' };
    return read<T>(
      await fetch(this.endpoint, { method: 'POST', headers, body, ...(signal ? { signal } : {}) }),
    );
  }

  /** The data of an operation that must work. */
  async run<T>(query: string, variables: Variables = {}): Promise<T> {
    return dataOf(await this.ask<T>(query, variables));
  }

  /** By the GraphQL multipart request specification; the file is the variable `file`. */
  async upload<T>(query: string, file: PartFile, variables: Variables = {}): Promise<Answer<T>> {
    const form = new FormData();
    form.set('operations', JSON.stringify({ query, variables: { ...variables, file: null } }));
    form.set('map', JSON.stringify({ 0: ['variables.file'] }));
    form.set('0', new Blob([file.bytes], { type: file.type ?? 'image/png' }), file.name ?? 'picture.png');
    const headers = { 'graphql-require-preflight': 'true' };
    return read<T>(await fetch(this.endpoint, { method: 'POST', headers, body: form }));
  }

  /** Over graphql-ws, in a connection that all subscriptions of this client share. */
  watch<T>(query: string, variables: Variables = {}): Results<T> {
    return this.#sockets.iterate<T>({ query, variables });
  }

  /** As server-sent events. */
  watchEvents<T>(query: string, variables: Variables = {}): Results<T> {
    return this.#events.iterate<T>({ query, variables });
  }

  async close(): Promise<void> {
    this.#events.dispose();
    await this.#sockets.dispose();
  }
}

export function dataOf<T>(answer: Answer<T>): T {
  if (answer.errors.length > 0) throw new Error(answer.errors.map(({ message }) => message).join('; '));
  if (!answer.data) throw new Error(`status ${answer.status} and no data`);
  return answer.data;
}

async function read<T>(response: Response): Promise<Answer<T>> {
  const { data, errors } = (await response.json()) as {
    data?: T | null;
    errors?: Answer<T>['errors'];
  };
  return { status: response.status, data, errors: errors ?? [] };
}

/** Everything a subscription sends until it completes. @throws when it sends an error. */
export async function everything<T>(results: Results<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const { data, errors } of results) {
    if (errors?.length) throw new Error(errors.map(({ message }) => message).join('; '));
    if (data) all.push(data);
  }
  return all;
}

/** Reads until one fits, then leaves. @throws when the subscription ends before. */
export async function firstThat<T>(results: Results<T>, fits: (value: T) => boolean): Promise<T> {
  for await (const { data, errors } of results) {
    if (errors?.length) throw new Error(errors.map(({ message }) => message).join('; '));
    if (data && fits(data)) return data;
  }
  throw new Error('the subscription ended before');
}
