/**
 * `npm run chaos -- leader-kills` in miniature, so that its machinery and its judge run every time: a cluster of processes
 * on Postgres and Redis of its own loses its leader twice by kill -9 and once by a stop in order, under load.
 */
import { expect, it } from 'vitest';
import { complaintsOf } from '../../chaos/cluster/judge-cluster.ts';
import { killLeaders } from '../../chaos/scenarios/leader-kills.ts';

const JOBS = 16;

it('loses nothing, runs nothing twice and accepts nothing stale when leaders are killed (F36, R8)', async () => {
  const { judged, loaded, takeovers } = await killLeaders({
    seed: 5,
    say: () => undefined,
    load: { jobs: JOBS, watchers: 2, mostUnfinished: 12, longestSeconds: 1 },
    kills: { kills: 3, stopEvery: 3, aimed: 1, longestPauseMs: 500, longestMs: 120_000 },
    size: { apis: 1, schedulers: 2, instances: 2 },
    leaseTtlMs: 1500,
  });
  expect(complaintsOf(judged)).toEqual([]);
  expect(loaded.load.acknowledged).toHaveLength(JOBS);
  expect(loaded.calmAfterMs).not.toBeNull();
  expect(takeovers.map(({ how }) => how)).toEqual(['killed', 'killed', 'stopped']);
  expect(takeovers.reduce((sum, { open }) => sum + open, 0)).toBeGreaterThan(0);
  expect(judged.executions).toBeGreaterThan(JOBS / 2);
}, 180_000);
