/** The caps of a tenant, from the file to the instances, and a change of the file while the gateway runs. */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { TestClient } from '../support/graphql-client.ts';
import { sleepGraph } from '../support/graphs.ts';
import { act, ended, submitGraph, submitting } from '../support/jobs.ts';
import { startGateway } from '../support/running-gateway.ts';

interface Limits {
  readonly maxQueued?: number | null;
  readonly maxRunning?: number | null;
}

/** A file of limits, and the way to change it at one moment. */
async function limitsFile(
  first: Limits,
): Promise<{ path: string; change: (limits: Limits) => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-caps-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'limits.json');
  const change = async (limits: Limits): Promise<void> => {
    await writeFile(`${path}.new`, JSON.stringify({ tenants: { default: limits } }));
    await rename(`${path}.new`, path);
  };
  await change(first);
  return { path, change };
}

const sleeping = (client: TestClient, seconds: number, salt: number) =>
  submitGraph(client, sleepGraph({ seconds, salt }));

interface Span {
  readonly startedAt: string;
  readonly finishedAt: string;
}

/** Most of them that ran at the same time. */
function mostAtOnce(spans: readonly Span[]): number {
  const at = (time: string): number => Date.parse(time);
  const runningAt = (moment: number): number =>
    spans.filter((span) => at(span.startedAt) <= moment && moment < at(span.finishedAt)).length;
  return Math.max(...spans.map(({ startedAt }) => runningAt(at(startedAt))));
}

async function spansOf(client: TestClient): Promise<Span[]> {
  const { jobs } = await client.run<{ jobs: { nodes: { attempts: Span[] }[] } }>(
    '{ jobs(first: 50) { nodes { attempts { startedAt finishedAt } } } }',
  );
  return jobs.nodes.flatMap((job) => job.attempts);
}

describe('a tenant that may run one job at a time', () => {
  it('runs one at a time on a free fleet, is told why, and runs three once the file says so', async () => {
    const { path, change } = await limitsFile({ maxRunning: 1 });
    const { client } = await startGateway({
      instances: [{}, {}, {}],
      config: { tenantLimitsFile: path },
    });
    const short = await Promise.all([1, 2, 3, 4].map((salt) => sleeping(client, 0.2, salt)));
    for (const { id } of short) expect((await ended(client, id)).status).toBe('COMPLETED');
    expect(mostAtOnce(await spansOf(client))).toBe(1);

    const long = await Promise.all([5, 6, 7].map((salt) => sleeping(client, 60, salt)));
    const running = async (): Promise<number> => {
      const { jobs } = await client.run<{ jobs: { totalCount: number } }>(
        '{ jobs(filter: { status: [PROCESSING] }) { totalCount } }',
      );
      return jobs.totalCount;
    };
    await eventually(async () => (await running()) === 1, { what: 'one runs' });
    const reasons = await eventually(async () => {
      const { jobs } = await client.run<{
        jobs: { nodes: { queue: { blockedBy: string | null } | null }[] };
      }>('{ jobs(filter: { status: [PENDING] }) { nodes { queue { blockedBy } } } }');
      const said = jobs.nodes.map(({ queue }) => queue?.blockedBy ?? '');
      return said.length === 2 && said.every((reason) => reason !== '') && said;
    });
    for (const reason of reasons) expect(reason).toMatch(/\b1\b/);
    expect(await running()).toBe(1);

    await change({ maxRunning: 3 });
    await eventually(async () => (await running()) === 3, { what: 'three run' });
    for (const { id } of long) await act(client, 'cancelJob', id);
  }, 60_000);
});

describe('a tenant that may have two jobs waiting', () => {
  it('is told so by QueueFullError, and may have more once the file says so', async () => {
    const { path, change } = await limitsFile({ maxQueued: 2, maxRunning: 0 });
    const { client } = await startGateway({ config: { tenantLimitsFile: path } });
    const submit = (salt: number) =>
      submitting(client, 'submitJob', { graph: sleepGraph({ seconds: 0.1, salt }) });
    const first = [await submit(1), await submit(2)];
    const full = await submit(3);
    expect(full).toMatchObject({ __typename: 'QueueFullError', code: 'QUEUE_FULL' });
    expect(full.message).toMatch(/^2 jobs of your own may wait at once/);
    await change({ maxQueued: 3, maxRunning: null });
    const taken = await eventually(
      async () => {
        const result = await submit(4);
        return result.job ?? null;
      },
      { what: 'a third is taken' },
    );
    for (const id of [...first.map((result) => result.job?.id ?? ''), taken.id]) {
      expect((await ended(client, id)).status).toBe('COMPLETED');
    }
  }, 60_000);
});
