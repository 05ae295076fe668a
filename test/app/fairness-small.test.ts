/**
 * `npm run chaos -- fairness` in miniature, so that its machinery runs every time: a cluster of processes, a tenant with a
 * long queue, small ones beside it, and weights that change in their file.
 */
import { expect, it } from 'vitest';
import { fairnessRound } from '../../chaos/fairness/fairness-round.ts';

const SIZE = {
  instances: 2,
  bigJobs: 90,
  smallTenants: 4,
  smallJobs: 3,
  times: 1,
  jobSeconds: 0.25,
  rivalJobs: 90,
  counted: 32,
  ageMs: null,
};

it('serves small tenants beside a long queue, and long queues by their weights, also when these change (F45)', async () => {
  const round = await fairnessRound({ size: SIZE, say: () => undefined });
  expect(round.after.violations).toEqual([]);
  const completed = round.after.jobs.filter(({ status }) => status === 'COMPLETED');
  expect(completed).toHaveLength(round.acknowledged.length);
  // three turns of four, and what ran or was chosen when they came
  for (const { bigBetween } of round.beside) expect(bigBetween).toBeLessThanOrEqual(9);
  for (const { wanted, share } of round.weighings) expect(Math.abs(share - wanted)).toBeLessThan(0.15);
}, 180_000);
