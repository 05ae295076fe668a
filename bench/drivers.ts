/**
 * Two ways to run the same tiny job and know that it is done and its picture received: straight at an instance, as a
 * bare client does it (WebSocket, POST, history, view), and through the gateway (mutation, open subscription).
 */
import { randomUUID } from 'node:crypto';
import { createClient } from 'graphql-ws';
import { Agent, request } from 'undici';
import { WebSocket } from 'ws';

export interface Driver {
  /** Runs one job to its end; `n` makes it differ from every other. */
  run(n: number): Promise<void>;
  close(): Promise<void>;
}

const graph = (n: number) => ({
  1: { class_type: 'EmptyImage', inputs: { width: 16, height: 16, batch_size: 1, color: n } },
  2: { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'bench' } },
});

/** Waiters by id: what is announced before somebody waits is kept. */
class Arrivals {
  readonly #waiting = new Map<string, () => void>();
  readonly #early = new Set<string>();

  announce(id: string): void {
    const resolve = this.#waiting.get(id);
    if (resolve) resolve();
    else this.#early.add(id);
    this.#waiting.delete(id);
  }

  of(id: string): Promise<void> {
    if (this.#early.delete(id)) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }
}

/** A careful bare client on one instance: it reads history and downloads the picture, and no more. */
export async function bareDriver(url: string): Promise<Driver> {
  const agent = new Agent({ connections: 64 });
  const clientId = randomUUID();
  const ended = new Arrivals();
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws?clientId=${clientId}`, {
    perMessageDeflate: false,
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  socket.on('message', (data, binary) => {
    if (binary) return;
    const message = JSON.parse(String(data));
    if (message.type === 'executing' && message.data.node === null) ended.announce(message.data.prompt_id);
  });
  const call = async (path: string, body?: unknown) => {
    const options = body
      ? {
          method: 'POST' as const,
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json' },
        }
      : {};
    return (await request(`${url}${path}`, { dispatcher: agent, ...options })).body;
  };
  return {
    async run(n) {
      const id = randomUUID();
      await (await call('/prompt', { prompt: graph(n), prompt_id: id, client_id: clientId })).json();
      await ended.of(id);
      const history = (await (await call(`/history/${id}`)).json()) as Record<
        string,
        { outputs: Record<string, { images: { filename: string; subfolder: string; type: string }[] }> }
      >;
      const image = history[id]?.outputs[2]?.images[0];
      if (!image) throw new Error('the bare client got no picture');
      await (await call(`/view?${new URLSearchParams({ ...image })}`)).arrayBuffer();
    },
    async close() {
      socket.terminate();
      await agent.close();
    },
  };
}

const SUBMIT =
  'mutation($graph: JSONObject!) { submitJob(input: {graph: $graph}) { ... on SubmitJobSuccess { job { id } } ... on Error { message } } }';

/** Submits by HTTP, and sees COMPLETED on one subscription over WebSocket that stays open. */
export async function gatewayDriver(url: string): Promise<Driver> {
  const agent = new Agent({ connections: 64 });
  const ended = new Arrivals();
  const sockets = createClient({
    url: `${url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    lazy: false,
  });
  const stop = sockets.subscribe<{ jobs: { id: string; status: string } }>(
    { query: 'subscription { jobs { id status } }' },
    {
      next: ({ data }) => {
        if (data?.jobs.status === 'COMPLETED') ended.announce(data.jobs.id);
        if (data?.jobs.status === 'FAILED') throw new Error('a benchmark job failed');
      },
      error: (error) => console.error('the subscription ended:', error),
      complete: () => undefined,
    },
  );
  return {
    async run(n) {
      const { body } = await request(`${url}/graphql`, {
        dispatcher: agent,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: SUBMIT, variables: { graph: graph(n) } }),
      });
      const answer = (await body.json()) as { data?: { submitJob: { job?: { id: string } } } };
      const id = answer.data?.submitJob.job?.id;
      if (!id) throw new Error(`the gateway refused: ${JSON.stringify(answer)}`);
      await ended.of(id);
    },
    async close() {
      stop();
      await sockets.dispose();
      await agent.close();
    },
  };
}
