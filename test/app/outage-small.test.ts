/**
 * `npm run chaos -- outage` in miniature, so that its machinery and its judge run every time: all instances of a gateway
 * are killed at once and are away for some seconds while clients go on submitting.
 */
import { expect, it } from 'vitest';
import { outageRound } from '../../chaos/outage/outage-round.ts';
import { dialsIn, ratesIn, statementsOf } from '../../chaos/outage/usage.ts';
import { withGround } from '../../chaos/processes.ts';
import { lostOf, repeatedOf, wrongReasons } from '../../chaos/scenarios/outage.ts';

const SIZE = { instances: 2, steadyJobs: 20, jobs: 20, outageMs: 6000, jobSeconds: 0.2 };

it('loses nothing, repeats only what ran, and says why jobs wait, when all instances are away (F44)', async () => {
  await withGround(async (ground) => {
    const round = await outageRound({ ground, size: SIZE, say: () => undefined, env: {} });
    expect(round.violations).toEqual([]);
    expect(lostOf(round)).toBe(0);
    expect(round.jobs.map(({ status }) => status).filter((status) => status !== 'COMPLETED')).toEqual([]);
    expect(round.acknowledged.length).toBeGreaterThanOrEqual(SIZE.steadyJobs + SIZE.jobs);
    expect(round.inFlight).toBeGreaterThan(0);
    expect(repeatedOf(round)).toBeLessThanOrEqual(round.inFlight);
    const givenUp = round.attempts.filter(({ outcome }) => outcome !== 'SUCCEEDED');
    expect(givenUp.filter(({ charged }) => charged === 1)).toEqual([]);
    expect(round.told.some(({ reasons }) => reasons.length > 0)).toBe(true);
    expect(wrongReasons(round, 3000)).toEqual([]);
    expect(ratesIn(statementsOf(round.looks), round.steady).mean).toBeGreaterThan(0);
    for (const port of round.ports)
      expect(dialsIn(round.looks, 'dials', port, round.down)).toBeGreaterThan(0);
  });
}, 180_000);
