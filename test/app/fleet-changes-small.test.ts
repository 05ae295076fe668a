/**
 * `npm run chaos -- fleet-changes` in miniature, so that its machinery and its judge run every time: a cluster of processes
 * whose instances are added, drained, resumed, removed and killed, and whose leader is killed, while jobs run.
 */
import { expect, it } from 'vitest';
import { changeFleet } from '../../chaos/scenarios/fleet-changes.ts';

const CHANGES = 12;

it('loses nothing, begins nothing where it may not, and moves work at no charge, however the fleet changes', async () => {
  const { changes, refusals, work, judged, loaded, disagreeing } = await changeFleet({
    seed: 5,
    say: () => undefined,
    load: { jobs: 24, watchers: 2, mostUnfinished: 12, longestSeconds: 1 },
    changes: { changes: CHANGES, longestPauseMs: 500, leaderEvery: 8 },
    size: { apis: 2, schedulers: 2, instances: 2, spares: 2 },
  });
  expect(work).toMatchObject({ tooLate: [], charged: [], stranded: [] });
  expect(judged).toMatchObject({
    violations: [],
    lost: 0,
    doubled: 0,
    spoilt: [],
    stale: [],
    watcherErrors: [],
  });
  expect(judged.byStatus.get('FAILED')).toBeUndefined();
  expect(loaded.calmAfterMs).not.toBeNull();
  expect([...refusals, ...disagreeing]).toEqual([]);
  const made = new Set(changes.map(({ what }) => what));
  for (const what of [
    'addInstance',
    'drainInstance',
    'removeInstance',
    'kill',
    'kill of the leader',
  ] as const) {
    expect(made).toContain(what);
  }
}, 180_000);
