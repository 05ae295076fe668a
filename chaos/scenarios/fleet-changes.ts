/**
 * Instances are added, drained, resumed, removed and killed at random, by mutation on two API replicas, while 600 jobs
 * (CHAOS_JOBS) run; the leader of two schedulers is killed now and then. 200 changes (CHAOS_CHANGES).
 */
import type { AttemptsTable } from '../../src/store/schema.ts';
import { writersOfAttempts } from '../cluster/audit.ts';
import { type Cluster, withCluster } from '../cluster/cluster.ts';
import { type Change, type ChangeSize, FleetChanger } from '../cluster/fleet-changer.ts';
import { fleetOf } from '../cluster/fleet-mutations.ts';
import { type ChangesJudged, judgeChanges } from '../cluster/judge-changes.ts';
import { type ClusterJudgement, judgeCluster, linesOf } from '../cluster/judge-cluster.ts';
import { type Loaded, type LoadSize, underLoad } from '../cluster/under-load.ts';
import { ms, tally } from '../load.ts';
import { PatientClient } from '../patient-client.ts';
import { percentile } from '../percentile.ts';
import { type Finding, randomFrom, type Scenario, type ScenarioSetting } from '../scenario.ts';

const JOBS = Number(process.env.CHAOS_JOBS ?? 600);
const CHANGES = Number(process.env.CHAOS_CHANGES ?? 200);

/** Somebody else kills the machines: neither a job nor an instance is to be blamed for it. */
const BLAMELESS = { JOB_MAX_CRASHES: '1000', BREAKER_THRESHOLD: '1000', RETRY_BUDGET_PERCENT: '100' };
const MAX_CRASHES = 1000;

export const fleetChanges: Scenario = async (setting) => {
  const load = { jobs: JOBS, watchers: 4, mostUnfinished: 40, longestSeconds: 2 };
  const changes = { changes: CHANGES, longestPauseMs: 2000, leaderEvery: 25 };
  const size = { apis: 2, schedulers: 2, instances: 3, spares: 5 };
  return (await changeFleet({ ...setting, load, changes, size })).findings;
};

export interface FleetChangesSetting extends ScenarioSetting {
  readonly load: LoadSize;
  readonly changes: ChangeSize;
  readonly size: {
    readonly apis: number;
    readonly schedulers: number;
    /** Named by configuration. */
    readonly instances: number;
    /** To be added. */
    readonly spares: number;
  };
}

export interface FleetChangesResult {
  readonly changes: readonly Change[];
  readonly refusals: readonly string[];
  readonly work: ChangesJudged;
  readonly judged: ClusterJudgement;
  readonly loaded: Loaded;
  /** Replicas whose fleet is not what it was made to be, with what they say. */
  readonly disagreeing: readonly string[];
  readonly findings: readonly Finding[];
}

export function changeFleet(setting: FleetChangesSetting): Promise<FleetChangesResult> {
  const { seed, say, load: size } = setting;
  const env = { LEASE_TTL_MS: '3000', ...BLAMELESS };
  return withCluster({ ...setting.size, env }, async (cluster) => {
    const disturbance = new FleetChanger(setting.changes);
    const loaded = await underLoad({ cluster, size, disturbance, random: randomFrom(seed), say });
    const disagreeing = await disagreements(cluster, disturbance.expected());
    await cluster.ground.endAll();
    const judged = await judgeCluster(cluster, loaded, MAX_CRASHES);
    // what a machine had when it went away runs again, which I3 counts
    for (const line of linesOf({ ...judged, repeated: [] }, loaded)) say(line);
    const { changes, refusals } = disturbance;
    const work = await judgeWork(cluster, changes);
    const seen = { changes, refusals, work, judged, loaded, disagreeing };
    for (const text of [...refusals, ...work.tooLate, ...disagreeing].slice(0, 20)) say(`! ${text}`);
    return { ...seen, findings: findingsOf(seen) };
  });
}

async function judgeWork(cluster: Cluster, changes: readonly Change[]): Promise<ChangesJudged> {
  const { rows } = cluster;
  const attempts = await rows.all<AttemptsTable>('select * from attempts order by job_id, number');
  const canceled = await rows.all<{ id: string }>("select id from jobs where status = 'CANCELED'");
  const begun = await writersOfAttempts(rows);
  return judgeChanges({ changes, attempts, begun, canceled: new Set(canceled.map(({ id }) => id)) });
}

async function disagreements(cluster: Cluster, expected: ReadonlyMap<string, boolean>): Promise<string[]> {
  const wanted = told([...expected]);
  const said = await Promise.all(
    cluster.apis.map(async ({ name, url }) => {
      const client = new PatientClient([url], AbortSignal.timeout(60_000));
      const found = told((await fleetOf(client)).map((one) => [one.name, one.draining]));
      return found === wanted ? [] : [`${name} has ${found}, it should be ${wanted}`];
    }),
  );
  return said.flat();
}

const told = (fleet: readonly (readonly [string, boolean])[]): string =>
  fleet
    .map(([name, draining]) => (draining ? `${name} (draining)` : name))
    .sort()
    .join(', ');

const row = (what: string, target: string, measured: string, met: boolean): Finding => ({
  row: 'fleet',
  ...{ what, target, measured, met },
});

function findingsOf(seen: Omit<FleetChangesResult, 'findings'>): Finding[] {
  const { changes, refusals, work, judged, loaded, disagreeing } = seen;
  const { lost, doubled, spoilt, violations, watcherErrors, byStatus, stale } = judged;
  const failed = byStatus.get('FAILED') ?? 0;
  const { tooLate, moved, charged, stranded } = work;
  return [
    row(
      `${loaded.load.acknowledged.length} jobs through ${changes.length} changes (${tally(changes.map(({ what }) => what))})`,
      '0 lost, 0 duplicated, 0 results not whole, 0 failed',
      `${lost} lost, ${doubled} duplicated, ${spoilt.length} not whole, ${failed} failed`,
      lost + doubled + spoilt.length + failed === 0,
    ),
    row(
      'invariants I1-I8, rows written in the term of another, errors for watchers',
      '0',
      `${violations.length}, ${stale.length}, ${watcherErrors.length}`,
      violations.length + stale.length + watcherErrors.length === 0,
    ),
    row(
      'attempts begun on an instance after its drain or removal was answered',
      '0',
      String(tooLate.length),
      tooLate.length === 0,
    ),
    row(
      `jobs moved because their instance was removed (next attempt after ${spread(moved.flatMap(({ afterMs }) => afterMs ?? []))})`,
      'none charged, none left behind',
      `${moved.length} moved, ${charged.length} charged, ${stranded.length} left behind`,
      charged.length + stranded.length === 0,
    ),
    row(
      'what both replicas say of the fleet in the end, and mutations that were refused',
      'as it was made; 0 refused',
      `${disagreeing.length} disagree; ${refusals.length} refused`,
      disagreeing.length + refusals.length === 0,
    ),
    ...answerTimes(changes),
    row(
      'from the last change until every job has ended',
      'at most 60 s',
      loaded.calmAfterMs === null ? 'longer' : `${(loaded.calmAfterMs / 1000).toFixed(1)} s`,
      loaded.calmAfterMs !== null,
    ),
  ];
}

/** A mutation that meets no leader answers after five seconds. */
const ANSWER_WITHIN_MS = 7000;

function answerTimes(changes: readonly Change[]): Finding[] {
  return (['addInstance', 'drainInstance', 'resumeInstance', 'removeInstance'] as const).map((what) => {
    const took = changes
      .filter((one) => one.what === what)
      .map(({ askedAt, answeredAt }) => answeredAt - askedAt);
    const longest = Math.max(0, ...took);
    return row(
      `${what}: time to its answer`,
      `at most ${ms(ANSWER_WITHIN_MS)}`,
      spread(took),
      longest <= ANSWER_WITHIN_MS,
    );
  });
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return 'never seen';
  return `p50 ${ms(percentile(values, 0.5))}, p99 ${ms(percentile(values, 0.99))} of ${values.length}`;
}
