/**
 * `npm run chaos -- numbers` in miniature, so that its machinery and its comparison run every time: the gateway is killed
 * half-way, an instance crashes, and every figure equals the truth.
 */
import { expect, it } from 'vitest';
import { isMet, lineOf } from '../../chaos/numbers/compare.ts';
import { numbersEmbedded } from '../../chaos/scenarios/numbers.ts';

const JOBS = 24;

it('says the truth of every job when the leader is killed half-way, in GraphQL and to Prometheus', async () => {
  const size = { jobs: JOBS, longestSeconds: 0.5, crashes: 1 };
  const { truth, comparisons, strange } = await numbersEmbedded({ seed: 11, say: () => undefined }, size, 2);
  expect(strange).toEqual([]);
  expect(truth.jobs).toHaveLength(JOBS);
  expect(comparisons.filter((one) => !isMet(one)).map(lineOf)).toEqual([]);
  expect(comparisons.length).toBeGreaterThan(70);
}, 240_000);
