/**
 * `npm run chaos` in miniature, so that its machinery and its judge run every time: a few kills of the gateway and its
 * instances as processes, while clients submit, cancel and watch.
 */
import { expect, it } from 'vitest';
import { judge } from '../../chaos/kills/judge.ts';
import { killRound } from '../../chaos/kills/round.ts';
import { withGround } from '../../chaos/processes.ts';
import { randomFrom } from '../../chaos/scenario.ts';
import { complaintsOf } from '../../chaos/scenarios/kills.ts';

const SIZE = {
  jobs: 30,
  instances: 2,
  gatewayKills: 4,
  instanceKills: 2,
  watchers: 2,
  longestPauseMs: 1500,
  longestMs: 120_000,
};

it('loses nothing and doubles nothing when the gateway and its instances are killed (F5, F11)', async () => {
  await withGround(async (ground) => {
    const round = await killRound({ ground, size: SIZE, random: randomFrom(3), say: () => undefined });
    const judged = await judge(round);
    expect(complaintsOf(judged)).toEqual([]);
    expect(round.load.acknowledged).toHaveLength(SIZE.jobs);
    expect(judged).toMatchObject({ lost: 0, doubled: 0 });
    expect(round.gatewayKills).toHaveLength(SIZE.gatewayKills);
    expect(round.instanceKills).toHaveLength(SIZE.instanceKills);
    expect(judged.executions).toBeGreaterThan(SIZE.jobs / 2);
    expect(judged.repeats.length).toBeLessThanOrEqual(judged.inFlight);
    expect(round.watchers.some((watcher) => watcher.reconnected > 0)).toBe(true);
  });
}, 180_000);
