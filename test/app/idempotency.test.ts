/** The same request sent many times makes one job, whatever happens in between. */
import { describe, expect, it } from 'vitest';
import { sleepGraph } from '../support/graphs.ts';
import { act, ended, type SubmitView, submitting } from '../support/jobs.ts';
import { type RunningGateway, sharedGateway, startGateway } from '../support/running-gateway.ts';
import { tracesIn } from '../support/traces.ts';

const gateway = sharedGateway();
let salt = 0;
const graph = () => sleepGraph({ seconds: 0, salt: ++salt });

const times = <T>(count: number, work: (n: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, n) => work(n)));

const jobsIn = async ({ dataDir }: Pick<RunningGateway, 'dataDir'>): Promise<number> =>
  (await tracesIn(dataDir)).rows.jobs ?? 0;

const idsOf = (results: readonly SubmitView[]): Set<string | undefined> =>
  new Set(results.map(({ job }) => job?.id));

describe('the same submit sent many times at once (F43)', () => {
  it('makes one job, and every answer names it', async () => {
    const { client } = gateway();
    const before = await jobsIn(gateway());
    const input = { graph: graph(), idempotencyKey: 'fifty', labels: { a: '1' } };
    const results = await times(50, () => submitting(client, 'submitJob', input));
    const ids = idsOf(results);
    expect(ids.size).toBe(1);
    expect(await jobsIn(gateway())).toBe(before + 1);
    const [id] = ids;
    expect((await ended(client, id ?? '')).attempts).toHaveLength(1);
  });

  it('with two bodies makes one job, of whichever came first; the other body is told so', async () => {
    const { client } = gateway();
    const before = await jobsIn(gateway());
    const input = { graph: graph(), idempotencyKey: 'two bodies' };
    const results = await times(50, (n) =>
      submitting(client, 'submitJob', { ...input, priority: 1 + (n % 2) }),
    );
    const taken = results.filter(({ job }) => job);
    const refused = results.filter(({ __typename }) => __typename === 'IdempotencyConflictError');
    expect([taken.length, refused.length]).toEqual([25, 25]);
    const ids = idsOf(taken);
    expect(ids.size).toBe(1);
    for (const { firstJob } of refused) expect(ids).toContain(firstJob?.id);
    expect(await jobsIn(gateway())).toBe(before + 1);
    await ended(client, [...ids][0] ?? '');
  });
});

describe('a key whose job was deleted (F43)', () => {
  it('still holds: the same request does not run a second time unnoticed', async () => {
    const { client } = gateway();
    const input = { graph: graph(), idempotencyKey: 'deleted since' };
    const { job } = await submitting(client, 'submitJob', input);
    await ended(client, job?.id ?? '');
    await act(client, 'deleteJob', job?.id ?? '');
    const before = await jobsIn(gateway());
    const again = await times(10, () => submitting(client, 'submitJob', input));
    for (const each of again)
      expect(each).toMatchObject({ __typename: 'IdempotencyConflictError', firstJob: null });
    expect(await jobsIn(gateway())).toBe(before);
  });
});

describe('a key and a restart (F43)', () => {
  it('name the same job after it, also when the answer was lost', async () => {
    const first = await startGateway();
    const input = { graph: graph(), idempotencyKey: 'over a restart' };
    const { job } = await submitting(first.client, 'submitJob', input);
    await first.restart();
    const results = await times(10, () => submitting(first.client, 'submitJob', input));
    expect(idsOf(results)).toEqual(new Set([job?.id]));
    expect(await jobsIn(first)).toBe(1);
    expect(await submitting(first.client, 'submitJob', { ...input, priority: 9 })).toMatchObject({
      __typename: 'IdempotencyConflictError',
    });
    await ended(first.client, job?.id ?? '');
    expect(first.instances[0]?.control.executions()).toHaveLength(1);
  });
});

describe('a full queue', () => {
  it('admits exactly as many of 200 submits at once as there is room for, and takes more when there is room again', async () => {
    const full = await startGateway({ instances: [], config: { maxQueuedJobs: 20 } });
    const results = await times(200, () => submitting(full.client, 'submitJob', { graph: graph() }));
    const taken = results.filter(({ job }) => job);
    const refused = results.filter(({ __typename }) => __typename === 'QueueFullError');
    expect([taken.length, refused.length]).toEqual([20, 180]);
    expect(await jobsIn(full)).toBe(20);
    await act(full.client, 'cancelJob', taken[0]?.job?.id ?? '');
    const later = await times(20, () => submitting(full.client, 'submitJob', { graph: graph() }));
    expect(later.filter(({ job }) => job)).toHaveLength(1);
  });
});
