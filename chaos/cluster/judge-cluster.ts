/** What a disturbed cluster came to: its store, the logs of its instances, and what its clients saw. */

import { type Evidence, readHistory, type Violation } from '../../test/support/history/evidence.ts';
import { judgeHistory } from '../../test/support/history-checker.ts';
import { countBy, spoiltJobs } from '../kills/judge.ts';
import type { Finding } from '../scenario.ts';
import { type StaleWrite, staleWrites } from './audit.ts';
import type { Cluster } from './cluster.ts';
import type { Loaded } from './under-load.ts';

export interface ClusterJudgement {
  readonly violations: readonly Violation[];
  readonly byStatus: ReadonlyMap<string, number>;
  readonly attempts: ReadonlyMap<string, number>;
  /** Acknowledged jobs that are not there. */
  readonly lost: number;
  /** More jobs than submits: a key was taken twice. */
  readonly doubled: number;
  /** Completed jobs whose files are not what their rows say. */
  readonly spoilt: readonly string[];
  readonly executions: number;
  /** Jobs that ran more than once; no instance went away. */
  readonly repeated: readonly string[];
  readonly stale: readonly StaleWrite[];
  readonly watcherErrors: readonly string[];
}

/** Its gateways must have ended, its database must not. `maxCrashes`: JOB_MAX_CRASHES as it was set. */
export async function judgeCluster(
  cluster: Cluster,
  loaded: Loaded,
  maxCrashes = 2,
): Promise<ClusterJudgement> {
  const { load, watchers } = loaded;
  const instances = cluster.instances.map((instance) => instance.evidence());
  const evidence: Evidence = {
    instances,
    acknowledged: load.acknowledged,
    subscribers: watchers.map((watcher) => watcher.log()),
    maxCrashes,
  };
  const history = await cluster.withStore((db) => readHistory(db, evidence));
  const { jobs } = history;
  const there = new Set(jobs.map(({ job }) => job.id));
  const ran = new Map<string, number>();
  for (const { promptId } of instances.flatMap((log) => log.executions)) {
    ran.set(promptId, (ran.get(promptId) ?? 0) + 1);
  }
  const runsOf = ({ attempts }: (typeof jobs)[number]): number =>
    attempts.reduce((sum, { id }) => sum + (ran.get(id) ?? 0), 0);
  return {
    violations: judgeHistory(history),
    byStatus: countBy(jobs.map(({ job }) => job.status)),
    attempts: countBy(jobs.flatMap((one) => one.attempts.map(({ state }) => state))),
    lost: load.acknowledged.filter((id) => !there.has(id)).length,
    doubled: jobs.length - new Set(load.acknowledged).size,
    spoilt: await spoiltJobs(history, cluster.files),
    executions: jobs.reduce((sum, one) => sum + runsOf(one), 0),
    repeated: jobs.filter((one) => runsOf(one) > 1).map(({ job }) => job.id),
    stale: await staleWrites(cluster.rows),
    watcherErrors: watchers.flatMap(({ errors }) => errors),
  };
}

/** Everything that should not be, one line each. */
export function complaintsOf(judged: ClusterJudgement): string[] {
  const { violations, spoilt, repeated, watcherErrors, stale, lost, doubled } = judged;
  return [
    ...(lost + doubled > 0 ? [`${lost} lost, ${doubled} doubled`] : []),
    ...violations.map(({ invariant, jobId, evidence }) => `${invariant} ${jobId ?? ''}: ${evidence}`),
    ...spoilt,
    ...repeated.map((id) => `${id} ran more than once`),
    ...stale.map(({ who, op, tbl, job_id, term, leader }) => {
      return `stale: ${who} wrote ${op} ${tbl} of ${job_id} in term ${term} of ${leader}`;
    }),
    ...watcherErrors.map((text) => `a watcher was told: ${text}`),
  ];
}

/** The counts as lines for a person. */
export function linesOf(judged: ClusterJudgement, { load, watchers, tookMs }: Loaded): string[] {
  const counts = (map: ReadonlyMap<string, number>): string =>
    [...map].map(([name, count]) => `${name} ${count}`).join(', ') || 'none';
  const sum = (of: (watcher: (typeof watchers)[number]) => number): number =>
    watchers.reduce((all, watcher) => all + of(watcher), 0);
  return [
    `took ${Math.round(tookMs / 1000)} s; acknowledged ${load.acknowledged.length}, requests asked again ${load.unanswered}, cancels ${load.canceled}`,
    `jobs: ${counts(judged.byStatus)}; attempts: ${counts(judged.attempts)}; executions ${judged.executions}`,
    `watchers ${watchers.length}, events ${sum((one) => one.log().events.length)}, subscriptions taken up again ${sum(({ reconnected }) => reconnected)}`,
    ...complaintsOf(judged)
      .slice(0, 30)
      .map((text) => `! ${text}`),
  ];
}

/** What holds whatever happens to a cluster. */
export function commonFindings(row: string, judged: ClusterJudgement, { calmAfterMs }: Loaded): Finding[] {
  const { lost, doubled, spoilt, repeated, violations, watcherErrors, byStatus } = judged;
  const failed = byStatus.get('FAILED') ?? 0;
  return [
    {
      row,
      what: `${judged.byStatus.size > 0 ? [...byStatus.values()].reduce((a, b) => a + b, 0) : 0} jobs`,
      target: '0 lost, 0 duplicated, 0 results not whole, 0 failed, 0 run again',
      measured: `${lost} lost, ${doubled} duplicated, ${spoilt.length} not whole, ${failed} failed, ${repeated.length} run again`,
      met: lost + doubled + spoilt.length + failed + repeated.length === 0,
    },
    {
      row,
      what: 'invariants I1-I8 in the store, on the instances and for the watchers',
      target: '0 violations, 0 errors for watchers',
      measured: `${violations.length} violations, ${watcherErrors.length} errors`,
      met: violations.length + watcherErrors.length === 0,
    },
    {
      row,
      what: 'from the last fault until every job has ended',
      target: 'at most 60 s',
      measured: calmAfterMs === null ? 'longer' : `${(calmAfterMs / 1000).toFixed(1)} s`,
      met: calmAfterMs !== null,
    },
  ];
}
