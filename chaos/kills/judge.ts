/** What a round came to: the store and the logs of the instances, judged and counted. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DiskLayout } from '../../src/storage/disk-layout.ts';
import { grouped } from '../../src/store/grouped.ts';
import type { Db } from '../../src/store/open.ts';
import type { AttemptsTable } from '../../src/store/schema.ts';
import {
  type Evidence,
  type History,
  type InstanceLog,
  type JobHistory,
  readHistory,
  type Violation,
} from '../../test/support/history/evidence.ts';
import { judgeHistory, withStoreOf } from '../../test/support/history-checker.ts';
import { type Moment, momentOf } from './gateway-killer.ts';
import type { InstanceKill } from './instance-killer.ts';
import { OUTPUTS } from './load.ts';
import type { Round } from './round.ts';

export interface Judgement {
  readonly violations: readonly Violation[];
  readonly byStatus: ReadonlyMap<string, number>;
  readonly failedByCode: ReadonlyMap<string, number>;
  /** Acknowledged jobs that are not there. */
  readonly lost: number;
  /** More jobs than submits: a key was taken twice. */
  readonly doubled: number;
  /** Completed jobs whose files are not what their rows say, or not as many as the graph makes. */
  readonly spoilt: readonly string[];
  readonly executions: number;
  readonly repeats: readonly Repeat[];
  /** Kills of the gateway by what was open; a kill may count for several. */
  readonly moments: ReadonlyMap<Moment | 'only waiting' | 'nothing', number>;
  /** Jobs that an instance had when it was killed. */
  readonly inFlight: number;
  /** What watchers were told instead of events. */
  readonly watcherErrors: readonly string[];
  /** From the death of an instance until a job it had was taken back, in ms. */
  readonly takenBackMs: readonly number[];
  /** The same until its next attempt began, in ms: it waited for its turn among the others meanwhile. */
  readonly redispatchMs: readonly number[];
}

/** A job that ran more than once, and why. */
export interface Repeat {
  readonly jobId: string;
  /** Null: nobody killed the instance while it had the job. */
  readonly explainedBy: InstanceKill | null;
}

export async function judge(round: Round): Promise<Judgement> {
  const instances = round.instances.map((instance) => instance.evidence());
  const evidence: Evidence = {
    instances,
    acknowledged: round.load.acknowledged,
    subscribers: round.watchers.map((watcher) => watcher.log()),
    maxCrashes: 1000,
  };
  return withStoreOf(round.dataDir, (db) => judgeStore(db, round, evidence, instances));
}

async function judgeStore(
  db: Db,
  round: Round,
  evidence: Evidence,
  instances: readonly InstanceLog[],
): Promise<Judgement> {
  const history = await readHistory(db, evidence);
  const { jobs } = history;
  const there = new Set(jobs.map(({ job }) => job.id));
  const executions = instances.flatMap((log) => log.executions);
  return {
    violations: judgeHistory(history),
    byStatus: countBy(jobs.map(({ job }) => job.status)),
    failedByCode: countBy(
      jobs.flatMap(({ job }) => (job.status === 'FAILED' ? [String(job.error_code)] : [])),
    ),
    lost: round.load.acknowledged.filter((id) => !there.has(id)).length,
    doubled: jobs.length - new Set(round.load.acknowledged).size,
    spoilt: await spoiltJobs(history, join(round.dataDir, 'files')),
    executions: executions.filter(({ promptId }) => jobs.some((one) => has(one, promptId))).length,
    repeats: jobs.flatMap((one) => repeatsOf(one, round, ranAt(executions))),
    moments: momentsOf(round),
    inFlight: round.instanceKills.reduce((sum, { open }) => sum + open.length, 0),
    watcherErrors: round.watchers.flatMap(({ errors }) => errors),
    takenBackMs: round.instanceKills.flatMap((kill) =>
      followed(kill, jobs).flatMap(({ lost: { state, finished_at } }) =>
        state === 'LOST' && finished_at !== null ? [finished_at - kill.at] : [],
      ),
    ),
    redispatchMs: round.instanceKills.flatMap((kill) =>
      followed(kill, jobs).flatMap(({ next }) => (next ? [next.started_at - kill.at] : [])),
    ),
  };
}

const has = ({ attempts }: JobHistory, promptId: string): boolean =>
  attempts.some(({ id }) => id === promptId);

function ranAt(executions: readonly { readonly promptId: string }[]): ReadonlySet<string> {
  return new Set(executions.map(({ promptId }) => promptId));
}

/** Each run but the last needs a kill of its instance between the start and the end of its attempt. */
function repeatsOf(
  { job, attempts }: JobHistory,
  { instanceKills }: Round,
  ran: ReadonlySet<string>,
): Repeat[] {
  const executed = attempts.filter(({ id }) => ran.has(id));
  return executed.slice(0, -1).map((attempt) => {
    const { instance_name, started_at, finished_at } = attempt;
    const explainedBy = instanceKills.find(
      ({ instance, at }) =>
        instance === instance_name &&
        at >= started_at - 50 &&
        at <= (finished_at ?? Number.POSITIVE_INFINITY),
    );
    return { jobId: job.id, explainedBy: explainedBy ?? null };
  });
}

function momentsOf({ gatewayKills }: Round): Judgement['moments'] {
  return countBy(
    gatewayKills.flatMap(({ open, waiting }) => {
      const met = new Set(open.flatMap((row) => momentOf(row) ?? []));
      return met.size > 0 ? [...met] : [waiting > 0 ? ('only waiting' as const) : ('nothing' as const)];
    }),
  );
}

/** What became of the attempts that an instance had when it was killed, and which one came next. */
function followed(
  { open }: InstanceKill,
  jobs: readonly JobHistory[],
): { readonly lost: AttemptsTable; readonly next: AttemptsTable | undefined }[] {
  return open.flatMap(({ id, job_id }) => {
    const attempts = jobs.find(({ job }) => job.id === job_id)?.attempts ?? [];
    const index = attempts.findIndex((attempt) => attempt.id === id);
    const lost = attempts[index];
    return lost ? [{ lost, next: attempts[index + 1] }] : [];
  });
}

/** What is wrong with the files of completed jobs, which lie in this folder. */
export async function spoiltJobs({ jobs }: History, folder: string): Promise<string[]> {
  const layout = new DiskLayout(folder);
  const spoilt: string[] = [];
  for (const { job, outputs } of jobs) {
    if (job.status !== 'COMPLETED') continue;
    if (outputs.length !== OUTPUTS) spoilt.push(`${job.id} has ${outputs.length} outputs`);
    for (const { sha256, bytes } of outputs) {
      const file = sha256 === null ? null : await readFile(layout.file(job.tenant, sha256)).catch(() => null);
      const whole = file?.length === bytes && createHash('sha256').update(file).digest('hex') === sha256;
      if (!whole) spoilt.push(`${job.id}: its file ${sha256} is not whole`);
    }
  }
  return spoilt;
}

export function countBy<K extends string>(keys: readonly K[]): Map<K, number> {
  return new Map([...grouped(keys, (key) => key)].map(([key, all]) => [key, all.length]));
}
