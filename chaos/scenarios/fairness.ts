/**
 * One tenant with 5,000 jobs (CHAOS_JOBS) and nine with ten each on eight instances, with a database and a bus as in
 * production: what the nine wait beside it and alone, and whether two long queues share by their weights, which change in
 * their file meanwhile. (R24, F45)
 */
import {
  type FairnessRound,
  type FairnessSize,
  fairnessRound,
  type Visit,
} from '../fairness/fairness-round.ts';
import { countOf, DEFAULT_TIMES, ms, tally } from '../load.ts';
import { percentile } from '../percentile.ts';
import type { Finding, Scenario } from '../scenario.ts';

const SIZE: FairnessSize = {
  instances: 8,
  bigJobs: Number(process.env.CHAOS_JOBS ?? 5000),
  smallTenants: 9,
  smallJobs: 10,
  times: 3,
  jobSeconds: 0.4,
  rivalJobs: 500,
  counted: 200,
  ageMs: 30_000,
};
/** So short that a backlog ages within the round as it would in hours of longer jobs. */
const PRIORITY_AGEING_MS = '15000';

export const fairness: Scenario = async ({ say }) => {
  const env = { ...DEFAULT_TIMES, LOG_LEVEL: 'warn' };
  const round = await fairnessRound({ size: { ...SIZE, ageMs: null }, say, env });
  say('now with a backlog that has aged');
  const short = { ...SIZE, bigJobs: Math.min(SIZE.bigJobs, 1500), times: 1, counted: 0 };
  const aged = await fairnessRound({ size: short, say, env: { ...env, PRIORITY_AGEING_MS } });
  return [
    beside('one tenant with its queue', round.alone, round.beside, SIZE.bigJobs),
    beside(
      'a queue that has aged by two levels',
      aged.alone,
      aged.besideAged ? [aged.besideAged] : [],
      short.bigJobs,
    ),
    ...shares(round),
    ...endings(round),
    ...endings(aged),
  ];
};

const row = (what: string, target: string, measured: string, met: boolean): Finding => ({
  row: 'R24',
  ...{ what, target, measured, met },
});

function beside(what: string, alone: readonly Visit[], visits: readonly Visit[], jobs: number): Finding {
  const waits = (of: readonly Visit[]): number[] => of.flatMap((one) => one.waits);
  const [own, shared] = [percentile(waits(alone), 0.95), percentile(waits(visits), 0.95)];
  const between = visits.map(({ bigBetween }) => bigBetween).join(', ');
  return row(
    `nine tenants with ten jobs each beside ${what} of ${jobs}: p95 of their waits`,
    'at most 1.5 x of what it is alone',
    `${(shared / own).toFixed(2)} x (alone ${ms(own)}, beside ${ms(shared)} of ${waits(visits).length}; median ${ms(percentile(waits(alone), 0.5))} and ${ms(percentile(waits(visits), 0.5))}; its jobs begun meanwhile: ${between})`,
    shared <= 1.5 * own,
  );
}

function shares({ weighings }: FairnessRound): Finding[] {
  return weighings.map(({ weights, wanted, share, starts }, n) =>
    row(
      `two long queues with weights ${weights.big} and ${weights.rival}${n > 0 ? ', changed without a restart' : ''}: share of ${starts.length} starts`,
      `${wanted.toFixed(3)} of the first, within 10 %`,
      share.toFixed(3),
      Math.abs(share / wanted - 1) <= 0.1 && Math.abs((1 - share) / (1 - wanted) - 1) <= 0.1,
    ),
  );
}

function endings({ after, acknowledged }: FairnessRound): Finding[] {
  const { jobs, attempts, violations } = after;
  const there = new Set(jobs.map(({ id }) => id));
  const lost = acknowledged.filter((id) => !there.has(id)).length;
  const completed = jobs.filter(({ status }) => status === 'COMPLETED').length;
  return [
    row(
      `${acknowledged.length} jobs of ${new Set(jobs.map(({ tenant }) => tenant)).size} tenants, ${attempts.length} attempts`,
      '0 lost, all completed',
      `${lost} lost; ${tally(jobs.map(({ status }) => status))}`,
      lost === 0 && completed === jobs.length,
    ),
    row('broken promises I1-I8', '0', countOf(violations), violations.length === 0),
  ];
}
