import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Config, parseConfig } from '../../src/config.ts';
import { CONNECTION_LIMITS } from '../../src/http/limits.ts';
import { MAX_WAIT_MS } from '../../src/jobs/waiter.ts';
import { eventually } from '../support/eventually.ts';
import { everything, firstThat, TestClient } from '../support/graphql-client.ts';
import { ownServices, readCompose } from './compose-file.ts';
import { type ComposeRun, startCompose } from './compose-run.ts';
import { readDockerfile } from './dockerfile.ts';
import { KNOBS, S3_CREDENTIALS } from './knobs.ts';
import { directive } from './proxy.ts';

const compose = readCompose();
const services = Object.entries(compose.services);
const own = ownServices(compose);
const seconds = (text: string | undefined) => Number(/^(\d+)s$/.exec(text ?? '')?.[1] ?? Number.NaN);

function configOf(environment: Readonly<Record<string, string>> = {}): Config {
  const image = readDockerfile().at(-1)?.environment;
  const { NODE_ENV: _node, ...knobs } = { ...image, ...environment };
  for (const name of S3_CREDENTIALS) delete knobs[name];
  return parseConfig(knobs);
}

describe('docker-compose.yml', () => {
  it('has all that a team needs, and works without a GPU', () => {
    const names = ['proxy', 'api-1', 'api-2', 'scheduler', 'standby', 'postgres', 'redis', 's3', 'comfyui'];
    expect(services.filter(([, { profiles }]) => !profiles).map(([name]) => name)).toEqual(names);
    const roles = own.map(([name, { environment }]) => [name, environment?.ROLE]);
    expect(Object.fromEntries(roles)).toEqual({
      'api-1': 'api',
      'api-2': 'api',
      scheduler: 'scheduler',
      standby: 'scheduler',
      comfyui: undefined,
    });
  });

  it.each(own)(
    '%s is configured with knobs that there are, in a way that is understood',
    (_name, service) => {
      const known = new Set<string>([...KNOBS, ...S3_CREDENTIALS]);
      expect(Object.keys(service.environment ?? {}).filter((name) => !known.has(name))).toEqual([]);
      expect(() => configOf(service.environment)).not.toThrow();
      for (const value of Object.values(service.environment ?? {})) expect(value).toEqual(expect.any(String));
    },
  );

  it.each(services)(
    '%s has a pinned image, a health check, comes back, and is given time to stop',
    (name, s) => {
      expect(s.image).toMatch(/^[\w./-]+:(?!latest)[\w.-]+$/);
      expect(s.healthcheck?.test.length).toBeGreaterThan(1);
      expect(s.restart).toBe('unless-stopped');
      const { shutdownDelayMs, shutdownGraceMs } = configOf(s.build ? s.environment : {});
      const needed = s.environment?.ROLE ? (shutdownDelayMs + shutdownGraceMs) / 1000 + 5 : 0;
      expect(seconds(s.stop_grace_period), name).toBeGreaterThan(needed);
    },
  );

  it('lets nobody in but through the proxy and Grafana, from this machine alone unless told otherwise', () => {
    const open = services.filter(([, { ports }]) => ports);
    expect(open.map(([name, { ports }]) => [name, ports])).toEqual([
      ['proxy', ['127.0.0.1:4000:8080']],
      ['grafana', ['127.0.0.1:3000:3000']],
    ]);
    for (const [name, { networks = [] }] of services) {
      const reachesGpus = networks.includes('gpus');
      expect(reachesGpus, name).toBe(['scheduler', 'standby', 'comfyui'].includes(name));
    }
    expect(compose.networks.inside?.internal).toBe(true);
  });

  it('waits for what each service needs until it is healthy', () => {
    for (const [name, { depends_on: needs = {}, environment }] of services) {
      for (const [other, { condition }] of Object.entries(needs)) {
        expect(compose.services, name).toHaveProperty(other);
        expect(condition).toBe('service_healthy');
      }
      if (environment?.ROLE) expect(Object.keys(needs)).toEqual(['postgres', 'redis', 's3']);
    }
  });

  it('gives what an operator sets to the services that it is for', () => {
    const set = readCompose({
      POSTGRES_PASSWORD: 'pw',
      S3_SECRET_KEY: 'sk',
      COMFYUI_INSTANCES: 'http://gpu1:8188',
      PUBLIC_URL: 'https://images.example',
      GRAFANA_PASSWORD: 'gp',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer t',
      GPU_SECOND_PRICE: '0.002',
    }).services;
    expect(set.postgres?.environment?.POSTGRES_PASSWORD).toBe('pw');
    expect(set.scheduler?.environment?.DATABASE_URL).toContain(':pw@postgres');
    expect(set['api-1']?.environment?.AWS_SECRET_ACCESS_KEY).toBe('sk');
    expect(set.s3?.environment?.AWS_SECRET_ACCESS_KEY).toBe('sk');
    expect(set.standby?.environment?.COMFYUI_INSTANCES).toBe('http://gpu1:8188');
    expect(set['api-2']?.environment?.PUBLIC_URL).toBe('https://images.example');
    expect(set.grafana?.environment?.GF_SECURITY_ADMIN_PASSWORD).toBe('gp');
    for (const name of ['api-1', 'api-2', 'scheduler', 'standby'])
      expect(configOf(set[name]?.environment), name).toMatchObject({
        otelExporterOtlpEndpoint: 'http://collector:4318',
        otelExporterOtlpHeaders: ['authorization=Bearer t'],
        gpuSecondPrice: 0.002,
      });
  });
});

describe('deploy/nginx.conf', () => {
  it('waits longer than answers, and than the pings that keep streams open', () => {
    for (const name of ['proxy_read_timeout', 'proxy_send_timeout']) {
      const [value, ...more] = directive(name).map(seconds);
      expect(more).toEqual([]);
      expect((value ?? 0) * 1000).toBeGreaterThan(MAX_WAIT_MS + 10_000);
      expect((value ?? 0) * 1000).toBeGreaterThan(3 * CONNECTION_LIMITS.pingMs);
    }
  });

  it('gives up idle connections to the replicas before they do', () => {
    const [, ofUpstream] = directive('keepalive_timeout').map(seconds);
    // Fastify's default, which the gateway leaves as it is
    expect(ofUpstream).toBeLessThan(72);
  });

  it('lets through every upload that the gateway takes, and does not collect it first', () => {
    const { maxUploadBytes, maxBodyBytes } = configOf();
    const [limit = ''] = directive('client_max_body_size');
    expect(Number.parseInt(limit, 10) * 2 ** 20).toBeGreaterThan(10 * maxUploadBytes + maxBodyBytes);
    expect(directive('proxy_request_buffering')).toEqual(['off']);
  });

  it('hands answers on as they come, so that event streams flow', () => {
    expect(directive('proxy_buffering')).toEqual(['off']);
    expect(directive('gzip')).toEqual([]);
  });

  it('leads to both replicas, and repeats nothing that may have begun to run', () => {
    const replicas = own.filter(([, { environment }]) => environment?.ROLE === 'api');
    const servers = directive('server').map((value) => value.split(' ')[0]);
    expect(servers).toEqual(replicas.map(([name, { environment }]) => `${name}:${environment?.PORT}`));
    expect(directive('proxy_next_upstream')).toEqual(['error timeout']);
  });

  it('sets every header itself that the gateway believes', () => {
    const set = directive('proxy_set_header').map((value) => value.split(' ')[0]);
    expect(set).toEqual(
      expect.arrayContaining(['Host', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'X-Forwarded-For']),
    );
  });
});

describe('all of it together', () => {
  let running: ComposeRun;
  let client: TestClient;
  beforeAll(async () => {
    running = await startCompose();
    client = new TestClient(running.proxy.url);
  }, 120_000);
  afterAll(async () => {
    await client?.close();
    await running?.stop();
  });

  interface Job {
    readonly id: string;
    readonly status: string;
    readonly outputs: readonly { readonly url: string }[];
  }
  const JOB = '{ id status progress { id fraction } outputs { ... on ImageOutput { url } } }';
  const WATCH = `subscription ($id: ID!) { job(id: $id) ${JOB} }`;
  const statusOf = async (id: string) =>
    (await client.run<{ job: Job }>(`query ($id: ID!) { job(id: $id) ${JOB} }`, { id })).job.status;
  const submit = async (mutation: string, variables: object = {}): Promise<string> => {
    const { submitted } = await client.run<{ submitted: { job: Job } }>(mutation, { ...variables });
    return submitted.job.id;
  };

  it('takes an upload, runs it, tells over WebSocket, and hands the result out', async () => {
    const picture = new Uint8Array(await readFile('assets/orange.png'));
    const uploaded = await client.upload<{ uploadImage: { image: { id: string } } }>(
      'mutation ($file: Upload!) { uploadImage(input: { file: $file }) { ... on UploadImageSuccess { image { id } } } }',
      { bytes: picture },
    );
    const uploadId = uploaded.data?.uploadImage.image.id;
    const id = await submit(
      `mutation ($uploadId: ID!) { submitted: removeBackground(input: { image: { uploadId: $uploadId } }) {
        ... on SubmitJobSuccess { job { id } } } }`,
      { uploadId },
    );
    const told = await everything(client.watch<{ job: Job }>(WATCH, { id }));
    const last = told.at(-1)?.job;
    expect(last?.status).toBe('COMPLETED');
    const url = last?.outputs[0]?.url ?? '';
    expect(url).toContain(`${running.proxy.url}/files/`);
    const answer = await fetch(url);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/png']);
    expect((await answer.arrayBuffer()).byteLength).toBe(Number(answer.headers.get('content-length')));
    const part = await fetch(url, { headers: { range: 'bytes=1-3' } });
    expect([part.status, await part.text()]).toEqual([206, 'PNG']);
    expect(await running.proxy.log()).not.toContain('sig=');
  });

  it('hands server-sent events on as they come, small ones too', async () => {
    // the only one: nothing comes after it that would push it on
    const told = client.watchEvents<{ queue: { id: string } }>('subscription { queue { id } }');
    expect((await firstThat(told, () => true)).queue.id).toEqual(expect.any(String));
  });

  it('hands server-sent events on while the job runs, not when it has ended', async () => {
    const id =
      await submit(`mutation { submitted: generateImage(input: { prompt: "a lighthouse", steps: 25 }) {
      ... on SubmitJobSuccess { job { id } } } }`);
    await firstThat(
      client.watchEvents<{ job: Job }>(WATCH, { id }),
      ({ job }) => job.status === 'PROCESSING',
    );
    expect(await statusOf(id)).toBe('PROCESSING');
    const told = await everything(client.watchEvents<{ job: Job }>(WATCH, { id }));
    expect(told.at(-1)?.job.status).toBe('COMPLETED');
    expect(told.length).toBeGreaterThan(2);
  });

  it('keeps the figures for Prometheus inside, however they are asked for', async () => {
    for (const path of ['/metrics', '/metrics?x=1', '/%6detrics', '//metrics', '/graphql/../metrics']) {
      const asked = request(`${running.proxy.url}${path}`).end();
      const [answer] = await once(asked, 'response');
      answer.resume();
      expect([path, answer.statusCode]).toEqual([path, 404]);
    }
  });

  it('lets a request begin before all of it has come', async () => {
    const upload = request(`${running.proxy.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
    });
    upload.on('error', () => undefined);
    upload.write('the rest never comes');
    const [answer] = await once(upload, 'response');
    expect(answer.statusCode).toBe(415);
    upload.destroy();
  });

  it('lets the gateway say what is too large, in its own words', async () => {
    const { status, data, errors } = await client.upload<{ uploadImage: { code: string } }>(
      'mutation ($file: Upload!) { uploadImage(input: { file: $file }) { ... on Error { code } } }',
      { bytes: new Uint8Array(configOf().maxUploadBytes + 1000) },
    );
    expect([status, data?.uploadImage.code, errors]).toEqual([200, 'FILE_TOO_LARGE', []]);
  });

  it('believes its own proxy, and nothing that a client made up', async () => {
    const headers = {
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      'x-forwarded-for': '203.0.113.7',
      'x-request-id': 'of-the-client',
      'content-type': 'application/json',
    };
    const query = '{ jobs(first: 1) { nodes { outputs { ... on ImageOutput { url } } } } }';
    const body = JSON.stringify({ query });
    const answer = await fetch(client.endpoint, { method: 'POST', headers, body });
    expect(answer.headers.get('x-request-id')).toBe('of-the-client');
    const text = await answer.text();
    expect(text).toContain(`${running.proxy.url}/files/`);
    expect(text).not.toContain('evil.example');
    const logs = await eventually(() => {
      const both = ['api-1', 'api-2'].map((name) => running.services.get(name)?.log()).join('');
      return both.includes('"of-the-client"') && both;
    });
    expect(logs).not.toContain('203.0.113.7');
    expect(await running.proxy.log()).toContain('"requestId":"of-the-client","client":"127.0.0.1"');
  });

  it('cuts no request when a replica is stopped', async () => {
    const replica = running.services.get('api-1')?.process;
    let stopped = false;
    const answers: number[] = [];
    const asking = [1, 2].map(async () => {
      while (!stopped) {
        const body = JSON.stringify({ query: 'mutation { __typename }' });
        const headers = { 'content-type': 'application/json' };
        const answer = await fetch(client.endpoint, { method: 'POST', headers, body });
        await answer.arrayBuffer();
        answers.push(answer.status);
      }
    });
    await eventually(() => answers.length > 20);
    await replica?.signal('SIGTERM');
    await replica?.ended();
    const after = answers.length;
    await eventually(() => answers.length > after + 20);
    stopped = true;
    await Promise.all(asking);
    expect(answers.filter((status) => status !== 200)).toEqual([]);
  });
});
