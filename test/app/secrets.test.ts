/**
 * Secrets and what users typed are planted everywhere, then a gateway as a process lives through all that can go well or wrong,
 * saying all it can say: none of them shows in its log, its files, its traces, its figures, its health or its errors.
 */
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { freePort } from '../../chaos/ports.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { BareSocket, subscribe } from '../support/bare-socket.ts';
import { eventually } from '../support/eventually.ts';
import { runMain } from '../support/gateway-process.ts';
import { TestClient } from '../support/graphql-client.ts';
import { ended, submitted, UPLOAD } from '../support/jobs.ts';
import { createTestDatabase } from '../support/test-database.ts';

/** Each holds a word of its own, so that a leak says whose it is. */
const PLANTED = {
  instancePassword: 'canary-instance-password',
  databasePassword: 'canary-database-password',
  redisPassword: 'canary-redis-password',
  bucketSecret: 'canary-bucket-secret',
  signingKey: 'canary-signing-key-of-enough-characters',
  collectorHeader: 'canary-collector-header',
  prompt: 'canary-prompt of a red fox',
  negativePrompt: 'canary-negative of fog',
  fileName: 'canary-file-name.png',
  pictureBytes: 'canary-picture-bytes',
  dataUri: 'canary-data-uri',
  imageUrl: 'canary-image-url',
  label: 'canary-label',
  idempotencyKey: 'canary-idempotency-key',
  authorization: 'canary-authorization',
  cookie: 'canary-cookie',
  query: 'canary-query',
  variable: 'canary-variable',
  body: 'canary-body',
  connectionInit: 'canary-connection-init',
  nodeFailure: 'canary-node-failure',
} as const;

/** An address with a login in it. */
function guarded(url: string, user: string, password: string): string {
  const address = new URL(url);
  address.username = user;
  address.password = password;
  return address.href;
}

/** What a collector of traces was sent. */
async function collector(): Promise<{ url: string; bodies: string[] }> {
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    bodies.push(Buffer.concat(chunks).toString('latin1'));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bodies };
}

class Watched {
  readonly folder: string;
  readonly said: string[] = [];
  readonly #child;

  private constructor(folder: string, env: Record<string, string>) {
    this.folder = folder;
    const settings = {
      PORT: '0',
      LOG_LEVEL: 'trace',
      LOG_DIR: join(folder, 'logs'),
      DATA_DIR: folder,
      ...env,
    };
    this.#child = runMain(['serve'], settings);
    this.#child.stdout?.on('data', (chunk: Buffer) => this.said.push(chunk.toString()));
    this.#child.stderr?.on('data', (chunk: Buffer) => this.said.push(chunk.toString()));
  }

  static async start(env: Record<string, string>): Promise<Watched> {
    const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-secrets-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    return new Watched(folder, env);
  }

  serving(): Promise<string> {
    return eventually(
      () => {
        if (this.#child.exitCode !== null) throw new Error(`it ended: ${this.said.join('')}`);
        return /"url":"(http:[^"]+)".*is serving/.exec(this.said.join(''))?.[1];
      },
      { withinMs: 60_000 },
    );
  }

  async end(): Promise<number | null> {
    const exited = once(this.#child, 'exit');
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGTERM');
      await exited;
    }
    return this.#child.exitCode;
  }

  /** All it wrote, by where. */
  async written(): Promise<Record<string, string>> {
    const logs = join(this.folder, 'logs');
    const names = await readdir(logs).catch(() => []);
    const files = names.map(async (name) => [name, await readFile(join(logs, name), 'utf8')] as const);
    return { stdout: this.said.join(''), ...Object.fromEntries(await Promise.all(files)) };
  }
}

/** Which of the planted show where; nothing is as it should be. */
const leaks = (places: Record<string, string>): string[] =>
  Object.entries(places).flatMap(([place, text]) =>
    Object.entries(PLANTED)
      .filter(([, secret]) => text.includes(secret.split(' ')[0] ?? secret) || text.includes(encoded(secret)))
      .map(([what]) => `${what} in ${place}: ${around(text, PLANTED[what as keyof typeof PLANTED])}`),
  );
const encoded = (secret: string): string =>
  Buffer.from(secret).toString('base64').replace(/=+$/, '').slice(0, -2);
function around(text: string, secret: string): string {
  const at = text.indexOf(secret.split(' ')[0] ?? secret);
  return text.slice(Math.max(0, at - 200), at + 100);
}

const HEADERS = {
  'content-type': 'application/json',
  authorization: `Bearer ${PLANTED.authorization}`,
  cookie: `session=${PLANTED.cookie}`,
};

/** Everything that is answered with an error or a refusal; answers what was said. */
async function ask(url: string): Promise<string> {
  const post = (body: string, headers: Record<string, string> = {}) =>
    fetch(`${url}/graphql`, { method: 'POST', headers: { ...HEADERS, ...headers }, body });
  const operation = (query: string, variables: object = {}) => post(JSON.stringify({ query, variables }));
  const answers = await Promise.all([
    post(`{"query": ${PLANTED.body}`),
    post(PLANTED.body),
    post(PLANTED.body, { 'content-type': 'text/plain' }),
    post(`--x\r\n${PLANTED.body}`, {
      'content-type': 'multipart/form-data; boundary=x',
      'apollo-require-preflight': '1',
    }),
    operation('query Q($id: ID!) { job(id: $id) { id } }', { id: { no: PLANTED.variable } }),
    operation('query Q($from: TimeInput) { metrics(from: $from) { totalProcessed } }', {
      from: PLANTED.variable,
    }),
    operation('mutation M($i: SubmitJobInput!) { submitJob(input: $i) { __typename } }', {
      i: { priority: PLANTED.variable },
    }),
    operation('mutation M($i: SubmitJobInput!) { submitJob(input: $i) { __typename } }', {
      i: { workflow: 'none', inputs: { prompt: PLANTED.variable }, labels: { a: PLANTED.label } },
    }),
    operation(
      'mutation M($i: SubmitJobInput!) { submitJob(input: $i) { __typename ... on Error { code } } }',
      {
        i: { graph: { 1: { class_type: 'SaveImage', inputs: { images: PLANTED.variable } } } },
      },
    ),
    operation(
      'mutation M($i: UpscaleImageInput!) { upscaleImage(input: $i) { __typename ... on Error { code } } }',
      {
        i: { image: { dataUri: `data:image/png;base64,${PLANTED.dataUri}` } },
      },
    ),
    operation(
      'mutation M($i: UpscaleImageInput!) { upscaleImage(input: $i) { __typename ... on Error { code } } }',
      {
        i: { image: { url: `http://u:${PLANTED.imageUrl}@127.0.0.1:1/x.png?token=${PLANTED.imageUrl}` } },
      },
    ),
    operation(`{ job(id: "${PLANTED.query}") { nothing } }`),
    fetch(`${url}/graphql?query={${PLANTED.query}`),
    fetch(`${url}/graphql?query={__typename}&variables=${PLANTED.query}`),
    fetch(`${url}/files/none?exp=1&sig=${PLANTED.query}`),
    fetch(`${url}/nothing?token=${PLANTED.query}`),
  ]);
  const texts = await Promise.all(answers.map((answer) => answer.text()));
  // an error of syntax or validation may quote the document that its sender wrote, as graphql does
  return texts.filter((_text, index) => ![11, 12].includes(index)).join('\n');
}

async function askOverSocket(url: string): Promise<void> {
  const socketUrl = `${url.replace('http', 'ws')}/graphql`;
  const bare = await new BareSocket(socketUrl, { headers: HEADERS }).open();
  bare.send(subscribe('a', 'query ($id: ID!) { job(id: $id) { id } }', { id: [PLANTED.variable] }));
  bare.send(subscribe('b', `{ job(id: "${PLANTED.query}") { nothing } }`));
  await bare.untilAll(
    (messages) => messages.filter(({ type }) => type === 'error' || type === 'next').length >= 2,
  );
  bare.socket.send(`{"type": ${PLANTED.body}`);
  await bare.closed;
  const other = new WebSocket(`${socketUrl}?token=${PLANTED.query}`, 'graphql-transport-ws');
  await once(other, 'open');
  other.send(JSON.stringify({ type: 'connection_init', payload: { token: PLANTED.connectionInit } }));
  await once(other, 'message');
  other.terminate();
}

/** Jobs that end well, fail in a node, and lose their instance. */
async function work(client: TestClient, instance: Simulator): Promise<void> {
  const picture = new Uint8Array(await readFile(new URL('../../assets/orange.png', import.meta.url)));
  const input = {
    prompt: PLANTED.prompt,
    negativePrompt: PLANTED.negativePrompt,
    ...{ steps: 1, width: 64, height: 64, labels: { project: PLANTED.label } },
  };
  const { id } = await submitted(client, 'generateImage', {
    ...input,
    idempotencyKey: PLANTED.idempotencyKey,
  });
  expect((await ended(client, id)).status).toBe('COMPLETED');
  await client.upload(UPLOAD, { bytes: picture, name: PLANTED.fileName });
  const bad = Buffer.concat([picture.subarray(0, 40), Buffer.from(PLANTED.pictureBytes)]);
  await client.upload(UPLOAD, { bytes: new Uint8Array(bad), name: PLANTED.fileName });
  const raised = { type: 'RuntimeError', message: `cannot draw ${PLANTED.nodeFailure}` };
  instance.control.setFaults({ nodeErrors: { KSampler: raised } });
  const failed = await submitted(client, 'generateImage', { ...input, seed: 2, maxAttempts: 2 });
  expect((await ended(client, failed.id)).status).toBe('FAILED');
  instance.control.clearFaults();
  instance.control.setFaults({ crashAtNode: 'KSampler', restartAfterMs: 100 });
  const lost = await submitted(client, 'generateImage', { ...input, seed: 3, maxAttempts: 1 });
  await ended(client, lost.id);
}

describe('planted secrets', () => {
  it('show nowhere, whatever the gateway lives through (R28)', async () => {
    const instance = await startSimulator({ stepMs: 1 });
    const database = await createTestDatabase();
    onTestFinished(async () => {
      await instance.stop();
      await database.drop();
    });
    const traces = await collector();
    const gateway = await Watched.start({
      DATABASE_URL: guarded(database.url, 'postgres', PLANTED.databasePassword),
      REDIS_URL: guarded(process.env.REDIS_URL ?? '', '', PLANTED.redisPassword),
      COMFYUI_INSTANCES: guarded(instance.url, 'gate', PLANTED.instancePassword),
      SIGNING_KEYS: PLANTED.signingKey,
      OTEL_EXPORTER_OTLP_ENDPOINT: traces.url,
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=${PLANTED.collectorHeader}`,
      ...{
        PROBE_INTERVAL_MS: '200',
        RECONCILE_INTERVAL_MS: '500',
        RETRY_BASE_MS: '10',
        REFUSED_LOST_MS: '400',
      },
    });
    const url = await gateway.serving();
    const client = new TestClient(url);
    onTestFinished(() => client.close());
    await work(client, instance);
    const errors = await ask(url);
    await askOverSocket(url);
    const pages = ['/metrics', '/health', '/status', '/ready'];
    const shown = await Promise.all(pages.map(async (path) => (await fetch(url + path)).text()));
    await database.drop();
    const lost = 'mutation M($i: SubmitJobInput!) { submitJob(input: $i) { __typename } }';
    const failing = await client.ask(lost, {
      i: { workflow: 'generateImage', inputs: { prompt: PLANTED.prompt }, labels: { a: PLANTED.label } },
    });
    expect(failing.errors).toHaveLength(1);
    await gateway.end();
    const written = await gateway.written();

    // it said a lot, and what it said was looked at
    expect(written['combined.log']?.split('\n').length).toBeGreaterThan(50);
    expect(written['error.log']).toContain('operation failed');
    expect(traces.bodies.join('')).toContain('attempt');
    expect(errors).toContain('BAD_USER_INPUT');
    expect(
      leaks({
        ...written,
        errors: errors + JSON.stringify(failing.errors),
        pages: shown.join('\n'),
        traces: traces.bodies.join('\n'),
      }),
    ).toEqual([]);
  }, 120_000);

  it.each([
    [
      'a database that is away',
      (port: number) => ({ DATABASE_URL: `postgres://gate:${PLANTED.databasePassword}@127.0.0.1:${port}/x` }),
    ],
    [
      'a bucket that is away',
      (port: number) => ({
        STORAGE_URL: `s3://KEY:${PLANTED.bucketSecret}@bucket?endpoint=http://127.0.0.1:${port}`,
      }),
    ],
    [
      'a bus that is away',
      (port: number) => ({ REDIS_URL: `redis://:${PLANTED.redisPassword}@127.0.0.1:${port}` }),
    ],
    [
      'addresses that cannot be read',
      () => ({
        DATABASE_URL: `postgres://gate:${PLANTED.databasePassword}@:bad:/x`,
        REDIS_URL: `${PLANTED.redisPassword}`,
        STORAGE_URL: `s4://${PLANTED.bucketSecret}`,
        COMFYUI_INSTANCES: `http://gate:${PLANTED.instancePassword}/x@host`,
      }),
    ],
  ])(
    'nor at the start with %s',
    async (_what, env) => {
      const gateway = await Watched.start({ COMFYUI_INSTANCES: '', ...env(await freePort()) });
      await eventually(() => gateway.said.length > 0, { withinMs: 20_000 });
      await gateway.end();
      expect(leaks(await gateway.written())).toEqual([]);
    },
    120_000,
  );
});
