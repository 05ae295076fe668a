/**
 * All eight instances are away for ten minutes (CHAOS_MINUTES) while 2,000 jobs (CHAOS_JOBS) are submitted, then all are
 * back at once. Steady, which peaks are held against, is the mean of a time before in which the same fleet ran the same
 * jobs without a pause. CHAOS_POSTGRES=1: on a Postgres in place of the embedded store. Timings are the defaults. (R22)
 */
import { PostgresServer } from '../../test/support/services/postgres-server.ts';
import { type Look, megabytes } from '../gateway-probe.ts';
import { countOf, DEFAULT_TIMES, tally } from '../load.ts';
import { type OutageRound, type OutageSize, outageRound } from '../outage/outage-round.ts';
import {
  type DialKind,
  dialsIn,
  type Phase,
  type Rates,
  type Reading,
  ratesIn,
  rowsOf,
  statementsOf,
  sumsOf,
} from '../outage/usage.ts';
import { withGround } from '../processes.ts';
import type { Finding, Scenario, ScenarioSetting } from '../scenario.ts';

const SIZE: OutageSize = {
  instances: 8,
  steadyJobs: 1000,
  jobs: Number(process.env.CHAOS_JOBS ?? 2000),
  outageMs: Number(process.env.CHAOS_MINUTES ?? 10) * 60_000,
  jobSeconds: 0.4,
};
/** By then the instances have been asked often enough to be taken for gone. */
const TOLD_AFTER_MS = 30_000;
const RIGHT_REASON = /^no healthy instance/;

export const outage: Scenario = (setting) => {
  if (!process.env.CHAOS_POSTGRES) return run(setting);
  return onPostgres((DATABASE_URL) => run(setting, { DATABASE_URL }));
};

async function onPostgres<T>(work: (url: string) => Promise<T>): Promise<T> {
  const postgres = await PostgresServer.create();
  try {
    await postgres.start();
    return await work(postgres.url);
  } finally {
    await postgres.dispose();
  }
}

function run({ say }: ScenarioSetting, env = {}): Promise<Finding[]> {
  return withGround(async (ground) => {
    const round = await outageRound({ ground, size: SIZE, say, env: { ...DEFAULT_TIMES, ...env } });
    return [...endings(round), ...waiting(round, SIZE), ...peaks(round)];
  });
}

const finding = (what: string, target: string, measured: string, met: boolean): Finding => ({
  row: 'R22',
  ...{ what, target, measured, met },
});

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** Jobs that were acknowledged and are not there. */
export function lostOf({ jobs, acknowledged }: OutageRound): number {
  const there = new Set(jobs.map(({ id }) => id));
  return acknowledged.filter((id) => !there.has(id)).length;
}

/** Attempts that a job needed after its first. */
export function repeatedOf({ jobs, attempts }: OutageRound): number {
  return attempts.length - jobs.filter(({ attempt_count }) => attempt_count > 0).length;
}

function endings(round: OutageRound): Finding[] {
  const { jobs, attempts, violations, inFlight, back } = round;
  const lost = lostOf(round);
  const again = repeatedOf(round);
  const notCompleted = jobs.filter(({ status }) => status !== 'COMPLETED').length;
  const firstBack = Math.min(...attempts.map(({ started_at }) => started_at).filter((at) => at >= back.from));
  return [
    finding('acknowledged jobs lost', '0', `${lost} of ${round.acknowledged.length}`, lost === 0),
    finding('how they ended', 'all completed', tally(jobs.map(({ status }) => status)), notCompleted === 0),
    finding(
      `repeated attempts of ${attempts.length} dispatches (${inFlight} jobs ran when the instances went away)`,
      'at most 10 %',
      `${again}, ${((100 * again) / attempts.length).toFixed(2)} %`,
      again <= attempts.length / 10,
    ),
    finding('broken promises I1-I8', '0', countOf(violations), violations.length === 0),
    finding(
      'from their return to the first attempt, and until all had ended',
      'it goes on',
      `${seconds(firstBack - back.from)}, ${seconds(back.to - back.from)}`,
      Number.isFinite(firstBack),
    ),
  ];
}

/** Reasons that were given once the outage must be known, and are not about it. */
export function wrongReasons({ told, down }: OutageRound, knownAfterMs = TOLD_AFTER_MS): (string | null)[] {
  return told
    .filter(({ at }) => at > down.from + knownAfterMs && at < down.to)
    .flatMap(({ reasons }) => reasons)
    .filter((reason) => reason === null || !RIGHT_REASON.test(reason));
}

const MINUTE_MS = 60_000;
/** A probe every PROBE_INTERVAL_MS less its 20 %: no more than an instance that answers is asked. */
const DIALED = {
  socketDials: { what: 'dials of the WebSocket (F29)', most: 300 },
  dials: { what: 'other connections: the probe', most: 900 },
} as const;

/** They come quickly at first: those of the first minute, and as many for the other 59 as the rest of the outage had. */
function anHour(looks: readonly Look[], kind: DialKind, port: string, { from, to }: Phase): number {
  const steadyFrom = Math.min(from + MINUTE_MS, (from + to) / 2);
  const later = dialsIn(looks, kind, port, { from: steadyFrom, to });
  return dialsIn(looks, kind, port, { from, to: steadyFrom }) + (later / (to - steadyFrom)) * 59 * MINUTE_MS;
}

function waiting(round: OutageRound, size: OutageSize): Finding[] {
  const { told, down, looks, ports } = round;
  const wrong = wrongReasons(round);
  const asked = told.reduce((sum, { reasons }) => sum + reasons.length, 0);
  const known = told.find(
    ({ reasons }) => reasons.length > 0 && reasons.every((one) => RIGHT_REASON.test(one ?? '')),
  );
  return [
    finding(
      'what waiting jobs were told while all was down',
      `"no healthy instance ...", from ${seconds(TOLD_AFTER_MS)} on`,
      `${wrong.length} wrong of ${asked}; told first after ${seconds((known?.at ?? Number.NaN) - down.from)}; ${tally(told.flatMap(({ reasons }) => reasons.map(String)))}`,
      wrong.length === 0 && asked > 0,
    ),
    ...(['socketDials', 'dials'] as const).map((kind) => {
      const dials = ports.map((port) => anHour(looks, kind, port, down));
      return finding(
        `${DIALED[kind].what} of each of ${size.instances} instances that are away: an hour of it, as the outage began and went on`,
        `at most ${DIALED[kind].most}`,
        `most ${Math.max(...dials).toFixed(0)}, least ${Math.min(...dials).toFixed(0)}`,
        Math.max(...dials) <= DIALED[kind].most,
      );
    }),
  ];
}

function peaks(round: OutageRound): Finding[] {
  const { steady, down, back, looks, outputs } = round;
  const all = { from: steady.from, to: back.to };
  const stored = (amount: (bytes: number) => number): Reading[] =>
    sumsOf(
      outputs.map(({ created_at: at, bytes }) => ({ at, amount: amount(bytes ?? 0) })),
      all,
    );
  const against = (what: string, readings: readonly Reading[], show: (rate: number) => string): Finding => {
    const usual = ratesIn(readings, steady);
    const [whileDown, after]: Rates[] = [ratesIn(readings, down), ratesIn(readings, back)];
    const peak = Math.max(whileDown?.peak ?? 0, after?.peak ?? 0);
    return finding(
      `${what} a second, busiest 5 s while down and after, beside the mean of the steady time`,
      'at most 2 x steady',
      `${(peak / usual.mean).toFixed(2)} x (steady ${show(usual.mean)}, its own busiest ${show(usual.peak)}; down ${show(whileDown?.peak ?? 0)}; back ${show(after?.peak ?? 0)})`,
      peak <= 2 * usual.mean,
    );
  };
  const resident = (from: number, to: number): number =>
    Math.max(...looks.filter(({ at }) => at >= from && at <= to).map(({ rss }) => rss));
  const memory = [resident(steady.from, steady.to), resident(down.from, back.to)] as const;
  return [
    against('statements to the database', statementsOf(looks), (rate) => rate.toFixed(0)),
    against('rows answered by the database', rowsOf(looks), (rate) => rate.toFixed(0)),
    against(
      'files stored',
      stored(() => 1),
      (rate) => rate.toFixed(1),
    ),
    against(
      'bytes stored',
      stored((bytes) => bytes),
      (rate) => `${(rate / 1000).toFixed(1)} kB`,
    ),
    finding(
      'resident memory of the gateway, at most',
      'at most 2 x steady',
      `${megabytes(memory[1])}, steady ${megabytes(memory[0])}`,
      memory[1] <= 2 * memory[0],
    ),
  ];
}
