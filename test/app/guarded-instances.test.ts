/** Instances behind TLS, a path prefix and a password: everything works there, what is wrong is said, and no login is ever shown. */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { openStore } from '../../src/store/open.ts';
import { eventually } from '../support/eventually.ts';
import { runMain } from '../support/gateway-process.ts';
import { TestClient } from '../support/graphql-client.ts';
import { GuardedProxy } from '../support/guarded-proxy.ts';
import { history, type JobView, submitted, uploaded } from '../support/jobs.ts';

/** Processes of their own start slowly where many run. */
const WITHIN_MS = 60_000;
const USER = 'canary-üser@gpus/1';
const PASSWORD = 'canary:p@ss/wörd ✓ 100%,#?';
const LOGIN = `${encodeURIComponent(USER)}:${encodeURIComponent(PASSWORD)}`;
/** Of any part of the login, in any form that a program gives it. */
const CANARY = new RegExp(`canary|${Buffer.from(USER).toString('base64').slice(0, 12)}`, 'i');

interface InstanceView {
  readonly name: string;
  readonly url: string;
  readonly health: string;
  readonly lastError: string | null;
}

interface Guarded {
  readonly client: TestClient;
  readonly url: string;
  readonly dataDir: string;
  readonly child: ChildProcess;
  /** All that the process wrote. */
  said(): string;
  instances(): Promise<InstanceView[]>;
}

const withLogin = (url: string, login = LOGIN): string => url.replace('://', `://${login}@`);

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'comfyfleet-guarded-app-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));
  return dir;
}

/** As an operator runs it. */
async function serve(instances: readonly string[], env: Record<string, string>): Promise<Guarded> {
  const dataDir = await folder();
  const child = runMain(['serve'], {
    ...{ PORT: '0', DATA_DIR: dataDir, COMFYUI_INSTANCES: instances.join(','), LOG_LEVEL: 'trace' },
    ...{ PROBE_INTERVAL_MS: '200', PROBE_TIMEOUT_MS: '2000', RECONCILE_INTERVAL_MS: '5000' },
    ...env,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const url = await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`the gateway ended: ${output}`);
      return /"url":"(http:[^"]+)".*is serving/.exec(output)?.[1];
    },
    { withinMs: 30_000, what: 'the gateway serving' },
  );
  const client = new TestClient(url);
  onTestFinished(() => client.close());
  return {
    ...{ client, url, dataDir, child },
    said: () => output,
    instances: async () =>
      (await client.run<{ instances: InstanceView[] }>('{ instances { name url health lastError } }'))
        .instances,
  };
}

const healthy = ({ instances }: Guarded, name: string) =>
  eventually(async () => (await instances()).some((one) => one.name === name && one.health === 'HEALTHY'), {
    withinMs: 20_000,
    what: `${name} healthy`,
  });

function expectLiveProgress(snapshots: readonly JobView[]): void {
  expect(snapshots.at(-1)).toMatchObject({ status: 'COMPLETED', error: null });
  expect(new Set(snapshots.map(({ progress }) => progress.fraction)).size).toBeGreaterThan(5);
  expect(snapshots.some(({ preview }) => preview !== null)).toBe(true);
}

describe('two instances behind one proxy with TLS, a prefix and a password', () => {
  it(
    'take pictures, run jobs with live progress and previews, and give their outputs',
    async () => {
      const simulators = await Promise.all(
        [1, 2].map(() => startSimulator({ stepMs: 20, previewMethod: 'latent' })),
      );
      onTestFinished(async () => void (await Promise.all(simulators.map((one) => one.stop()))));
      const [one, two] = simulators.map(({ url }) => url);
      const proxy = await GuardedProxy.start({
        paths: { '/fleet/one': one ?? '', '/fleet/two': two ?? '' },
        ...{ user: USER, password: PASSWORD },
      });
      const gateway = await serve(
        [withLogin(`${proxy.url}/fleet/one/`), withLogin(`${proxy.url}/fleet/two`)],
        {
          NODE_EXTRA_CA_CERTS: proxy.ca,
        },
      );
      const host = proxy.url.replace('https://', '');
      for (const path of ['one', 'two']) await healthy(gateway, `${host}/fleet/${path}`);
      expect((await gateway.instances()).map(({ url }) => url)).toEqual([
        `${proxy.url}/fleet/one`,
        `${proxy.url}/fleet/two`,
      ]);

      const { client } = gateway;
      const input = { prompt: 'a boat', steps: 30, width: 256, height: 256 };
      const jobs = await Promise.all(
        [1, 2].map((seed) => submitted(client, 'generateImage', { ...input, seed })),
      );
      const runs = await Promise.all(jobs.map(({ id }) => history(client, id)));
      for (const snapshots of runs) expectLiveProgress(snapshots);
      expect(new Set(runs.map((snapshots) => snapshots.at(-1)?.instance?.name)).size).toBe(2);
      const picture = await readFile(new URL('../../assets/orange.png', import.meta.url));
      const image = { uploadId: await uploaded(client, picture) };
      const cutOut = (await history(client, (await submitted(client, 'removeBackground', { image })).id)).at(
        -1,
      );
      expect(cutOut?.status).toBe('COMPLETED');
      for (const { outputs } of [
        ...runs.flatMap((snapshots) => snapshots.at(-1) ?? []),
        cutOut ?? { outputs: [] },
      ]) {
        const [output] = outputs;
        expect((await (await fetch(output?.url ?? '')).arrayBuffer()).byteLength).toBe(output?.bytes);
      }
      expect(gateway.said()).not.toMatch(CANARY);
    },
    WITHIN_MS,
  );
});

describe('an address that is wrong', () => {
  it(
    'is told what to do about in lastError, and its login is in no answer, log or row but its own',
    async () => {
      const simulator = await startSimulator({ stepMs: 5 });
      onTestFinished(() => simulator.stop());
      const guarded = {
        paths: { '/gpu': simulator.url, '/gpu-2': simulator.url, '/gpu-3': simulator.url },
        user: USER,
        password: PASSWORD,
      };
      const [proxy, stranger] = [await GuardedProxy.start(guarded), await GuardedProxy.start(guarded)];
      const host = (url: string): string => url.replace('localhost', '127.0.0.1');
      const wrong: Record<string, readonly [string, RegExp]> = {
        password: [withLogin(`${proxy.url}/gpu-2`, 'canary:canary'), /401: the user or password/],
        moved: [withLogin(`${proxy.url}/moved`), /302: redirects are not followed/],
        path: [withLogin(`${proxy.url}/nowhere`), /404: no ComfyUI is under the path/],
        ca: [withLogin(`${stranger.url}/gpu`), /NODE_EXTRA_CA_CERTS/],
        name: [withLogin(`${host(proxy.url)}/gpu`), /for another host name/],
        plain: [withLogin(simulator.url.replace('http:', 'https:')), /does not speak TLS/],
        dns: [withLogin('https://no-such-host.invalid/gpu'), /ENOTFOUND|EAI_AGAIN/],
        refused: [withLogin('http://127.0.0.1:9/gpu'), /connection refused \(ECONNREFUSED\)/],
      };
      const named = Object.entries(wrong).map(([name, [url]]) => `${name}=${url}`);
      const gateway = await serve([`good=${withLogin(`${proxy.url}/gpu`)}`, ...named], {
        NODE_EXTRA_CA_CERTS: proxy.ca,
      });
      await healthy(gateway, 'good');
      for (const [name, [, said]] of Object.entries(wrong)) {
        await eventually(
          async () =>
            said.test((await gateway.instances()).find((one) => one.name === name)?.lastError ?? ''),
          { withinMs: 20_000, what: `lastError of ${name}` },
        );
      }
      const { client } = gateway;
      const jobs = [await submitted(client, 'generateImage', { prompt: 'a boat', steps: 2 })];
      for (const { id } of jobs) await history(client, id);
      const answers = [
        ...(await Promise.all(QUESTIONS.map((question) => client.ask(question)))),
        ...(await Promise.all(MALFORMED.map((input) => client.ask(ADD, { input })))),
        ...(await addedAndRemoved(client, withLogin(`${proxy.url}/gpu-3`))),
        ...(await Promise.all(
          ['/health', '/ready', '/status', '/metrics'].map(async (path) =>
            (await fetch(gateway.url + path)).text(),
          ),
        )),
      ];
      expect(JSON.stringify(answers)).not.toMatch(CANARY);
      gateway.child.kill('SIGTERM');
      await eventually(() => gateway.child.exitCode !== null, { withinMs: 20_000 });
      expect(gateway.said()).not.toMatch(CANARY);
      expect(await rowsThatSay(gateway.dataDir, CANARY)).toEqual(['instances.login']);
    },
    WITHIN_MS,
  );
});

const ADD = `mutation Add($input: AddInstanceInput!) { addInstance(input: $input) {
  __typename
  ... on InstanceSuccess { instance { id name url lastError } }
  ... on Error { message }
  ... on ValidationError { issues { path message } }
} }`;

const MALFORMED: readonly object[] = [
  ...[
    'ftp://canary:canary@gpu',
    'http://canary:can/ary@gpu',
    'http://canary:12/canary@gpu',
    'http://canary:canary%@gpu',
    'http://canary:canary@gpu?canary',
    'canary:canary@gpu:8188',
    'http://canary:canary@169.254.169.254/',
  ].map((url) => ({ url })),
  { url: 'http://canary:canary@gpu', capacity: 1000 },
  { url: 'http://canary:canary@gpu', capacity: 'one' },
  { url: 'http://canary:canary@gpu', nmae: 'gpu' },
  { url: ['http://canary:canary@gpu', 'http://canary:canary@gpu'] },
  { url: { of: 'http://canary:canary@gpu' } },
];

/** The answers to adding it, adding it again with another login, asking for everything of it, and removing it. */
async function addedAndRemoved(client: TestClient, url: string): Promise<unknown[]> {
  const added = await client.ask<{ addInstance: { instance: { id: string } } }>(ADD, { input: { url } });
  const id = added.data?.addInstance.instance.id;
  expect(id).toEqual(expect.any(String));
  const again = await client.ask(ADD, { input: { url: url.replace('canary', 'canary2') } });
  expect(again.data).toMatchObject({ addInstance: { __typename: 'ValidationError' } });
  const answers: unknown[] = [added, again];
  for (const name of [
    'probeInstance',
    'drainInstance',
    'resumeInstance',
    'freeInstanceMemory',
    'removeInstance',
  ]) {
    answers.push(
      await client.ask(
        `mutation { ${name}(input: { id: "${id}" }) { __typename ... on Error { message } } }`,
      ),
    );
  }
  answers.push(await client.ask(`{ instance(id: "${id}") { name url lastError removedAt } }`));
  return answers;
}

const QUESTIONS = [
  '{ instances { id name url health lastError jobs { nodes { id } } } }',
  '{ jobs(first: 10) { nodes { id error { message } attempts { id instanceName } instance { id name url lastError } queue { blockedBy } } } }',
  '{ health { status instancesHealthy } }',
  '{ instance(id: "canar") { url } }',
  '{ nonsense }',
];

/** Columns of the embedded store that hold it, as table.column. */
async function rowsThatSay(dataDir: string, what: RegExp): Promise<string[]> {
  const store = await openStore({ dataDir, synchronous: 'NORMAL', logger: createLogger('silent') });
  const hits = new Set<string>();
  const { rows: tables } = await sql<{ name: string }>`
    select name from sqlite_master where type = 'table' and name not like 'sqlite_%'`.execute(store.db);
  for (const { name } of tables) {
    const { rows } = await sql<Record<string, unknown>>`select * from ${sql.table(name)}`.execute(store.db);
    for (const row of rows) {
      for (const [column, value] of Object.entries(row))
        if (what.test(String(value))) hits.add(`${name}.${column}`);
    }
  }
  await store.stop();
  return [...hits];
}
