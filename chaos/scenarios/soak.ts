/**
 * A quarter of an hour of everything at once: uploads, failures, cancels, subscribers that come and go, downloads, and ended
 * jobs that are deleted while others run. What a gateway keeps must be the same at the end as at the beginning. (R18)
 */
import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { request } from 'undici';
import { TestClient } from '../../test/support/graphql-client.ts';
import { noiseInto, sleepGraph } from '../../test/support/graphs.ts';
import { act, findJob, submitted } from '../../test/support/jobs.ts';
import { GatewayProbe, type Look, megabytes } from '../gateway-probe.ts';
import { startAll, submit, untilIdle } from '../load.ts';
import { type GatewayProgram, withGround } from '../processes.ts';
import { type Finding, randomFrom, type Scenario } from '../scenario.ts';

const MINUTES = Number(process.env.CHAOS_MINUTES ?? 15);
const JOBS = Number(process.env.CHAOS_JOBS ?? 10_000);
const LOOK_MS = 10_000;

interface Stage {
  readonly gateway: GatewayProgram;
  readonly client: TestClient;
  readonly random: () => number;
  readonly picture: string;
}

export const soak: Scenario = ({ seed, say }) =>
  withGround(async (ground) => {
    const simulators = await Promise.all(Array.from({ length: 4 }, (_, n) => ground.simulator(`gpu${n}`)));
    await startAll(simulators);
    const probe = await GatewayProbe.on(ground, 3_600_000);
    const gateway = await ground.gateway(simulators, {
      ...probe.env,
      JOB_RETENTION_MS: '20000',
      CLEANUP_INTERVAL_MS: '5000',
      RETRY_BUDGET_PERCENT: '100',
      LOG_LEVEL: 'warn',
    });
    await startAll([gateway]);
    const client = new TestClient(gateway.url);
    const stage: Stage = { gateway, client, random: randomFrom(seed), picture: await pictureUri() };
    for (let n = 0; n < 40; n++) await oneJob(stage, n);
    await untilIdle(client, { withinMs: 120_000, say });
    const before = await calm(stage, probe);
    say(`at the beginning: ${describe(before)}`);
    const looks: Look[] = [];
    let done = 0;
    const startedAt = performance.now();
    const work = pacedWork(stage, startedAt, () => done++);
    const looking = new AbortController();
    const watch = (async () => {
      while (!looking.signal.aborted) {
        await sleep(LOOK_MS, undefined, { signal: looking.signal }).catch(() => undefined);
        if (looking.signal.aborted) return;
        const look = await probe.mark(gateway);
        looks.push(look);
        const { files, bytes } = await stored(gateway.dataDir);
        say(`${done} jobs, ${describe({ look, staged: 0 })}, ${files} files, store ${megabytes(bytes)}`);
      }
    })();
    await work;
    looking.abort();
    await watch;
    await untilIdle(client, { withinMs: 120_000, say });
    const after = await calm(stage, probe);
    say(`at the end: ${describe(after)}`);
    await client.close();
    return findings(before, after, looks, done);
  });

interface Calm {
  readonly look: Look;
  /** Files that are half written. */
  readonly staged: number;
}

/** Once all ended jobs are deleted and idle connections have had time to close. */
async function calm({ gateway, client }: Stage, probe: GatewayProbe): Promise<Calm> {
  for (let tries = 0; tries < 120; tries++) {
    const { jobs } = await client.run<{ jobs: { nodes: unknown[] } }>('{ jobs(first: 1) { nodes { id } } }');
    if (jobs.nodes.length === 0) break;
    await sleep(500);
  }
  await sleep(25_000);
  await probe.mark(gateway);
  return { look: await probe.mark(gateway), staged: (await stored(gateway.dataDir)).staged };
}

async function stored(dataDir: string): Promise<{ files: number; staged: number; bytes: number }> {
  const names = (await readdir(dataDir, { recursive: true, withFileTypes: true })).filter((one) =>
    one.isFile(),
  );
  const bytes = names
    .filter(({ name }) => name.includes('.db'))
    .reduce(
      (sum, { name, parentPath }) =>
        sum + (statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
  const staged = names.filter(({ parentPath }) => parentPath.includes('staging')).length;
  return { files: names.length, staged, bytes };
}

function describe({ look, staged }: Calm): string {
  const timers = look.resources.Timeout ?? 0;
  return `heap ${megabytes(look.heapUsed)}, RSS ${megabytes(look.rss)}, ${look.files} open files, ${timers} timers, ${staged} staged`;
}

/** So many jobs, evenly over the time, a few at once. */
async function pacedWork(stage: Stage, startedAt: number, onDone: () => void): Promise<void> {
  const everyMs = (MINUTES * 60_000) / JOBS;
  const running = new Set<Promise<void>>();
  for (let n = 0; n < JOBS; n++) {
    const wait = startedAt + n * everyMs - performance.now();
    if (wait > 0) await sleep(wait);
    const one: Promise<void> = oneJob(stage, n)
      .then(onDone)
      .finally(() => running.delete(one));
    running.add(one);
    if (running.size >= 32) await Promise.race(running);
  }
  await Promise.all(running);
}

/** Of one of six kinds. */
async function oneJob({ gateway, client, random, picture }: Stage, n: number): Promise<void> {
  const kind = Math.floor(random() * 6);
  if (kind === 0) {
    await submitted(client, 'upscaleImage', { image: { dataUri: picture } });
  } else if (kind === 1) {
    const graph = {
      '1': { class_type: 'RigRaise', inputs: { kind: 'ValueError', message: 'sad', salt: n } },
      '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
    };
    await submit(client, graph, { maxAttempts: 1 });
  } else if (kind === 2) {
    const id = await submit(client, sleepGraph({ seconds: 5, steps: 50, salt: n }));
    await sleep(random() * 200);
    await act(client, 'cancelJob', id);
  } else if (kind === 3) {
    const own = new TestClient(gateway.url);
    const id = await submit(own, sleepGraph({ seconds: 0.05, steps: 5, salt: n, preview: 'JPEG' }));
    for await (const _ of own.watch(
      'subscription($id: ID!) { job(id: $id) { status progress { fraction } } }',
      { id },
    ));
    await own.close();
  } else if (kind === 4) {
    const id = await submit(client, sleepGraph({ seconds: 0.01, steps: 1, salt: n }), { waitMs: 10_000 });
    const url = (await findJob(client, id))?.outputs[0]?.url;
    if (url) await (await request(url)).body.arrayBuffer();
  } else {
    await submit(client, noiseInto('SaveImage', { filename_prefix: `soak${n}` }));
  }
}

async function pictureUri(): Promise<string> {
  const create = { width: 64, height: 64, channels: 3 as const, background: 'orange' };
  return `data:image/png;base64,${(await sharp({ create }).png().toBuffer()).toString('base64')}`;
}

function findings(before: Calm, after: Calm, looks: readonly Look[], done: number): Finding[] {
  const late = looks.slice(Math.floor(looks.length / 3));
  const slope = (of: (look: Look) => number): number =>
    slopePerHour(
      late.map(({ at }) => at),
      late.map(of),
    );
  const heap = slope((look) => look.heapUsed);
  const rss = slope((look) => look.rss);
  const row = (what: string, target: string, measured: string, met: boolean): Finding => ({
    row: 'R18',
    what: `${what} (${done} jobs, ${MINUTES} min)`,
    target,
    measured,
    met,
  });
  const timers = (one: Calm): number => one.look.resources.Timeout ?? 0;
  return [
    row(
      `slope of the heap after collection, linear fit over the last two thirds, ${late.length} looks`,
      'below 1 MB/h',
      `${megabytes(heap)}/h; ${megabytes(before.look.heapUsed)} to ${megabytes(after.look.heapUsed)}`,
      heap < 1e6,
    ),
    row(
      'RSS at the end',
      'at most a fifth more than at the beginning',
      `${megabytes(before.look.rss)} to ${megabytes(after.look.rss)}, slope ${megabytes(rss)}/h`,
      after.look.rss <= before.look.rss * 1.2,
    ),
    row(
      'open files',
      'at most 5 more than at the beginning (connections kept alive)',
      `${before.look.files} to ${after.look.files}`,
      after.look.files <= before.look.files + 5,
    ),
    row(
      'active timers',
      'as at the beginning',
      `${timers(before)} to ${timers(after)}`,
      timers(after) <= timers(before),
    ),
    row('staged files', '0', String(after.staged), after.staged === 0),
  ];
}

function slopePerHour(at: readonly number[], values: readonly number[]): number {
  const mean = (list: readonly number[]): number => list.reduce((sum, one) => sum + one, 0) / list.length;
  const [meanAt, meanValue] = [mean(at), mean(values)];
  const above = at.reduce((sum, one, n) => sum + (one - meanAt) * ((values[n] ?? 0) - meanValue), 0);
  const below = at.reduce((sum, one) => sum + (one - meanAt) ** 2, 0);
  return (above / below) * 3_600_000;
}
