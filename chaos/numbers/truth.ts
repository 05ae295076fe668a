/** What really happened: what clients were told of each of their jobs, and what the instances themselves wrote down. */
import type { ExecutionRecord } from '../../src/simulator/run-log.ts';
import type { PatientClient } from '../patient-client.ts';
import type { SimulatorProgram } from '../processes.ts';

export interface ToldAttempt {
  readonly promptId: string;
  readonly outcome: string;
  readonly instanceName: string;
  readonly runMs: number;
  readonly error: { readonly code: string } | null;
}

/** A job as its client knows it at the end. */
export interface ToldJob {
  readonly id: string;
  readonly status: 'COMPLETED' | 'FAILED' | 'CANCELED' | 'PENDING' | 'PROCESSING';
  readonly workflow: string;
  readonly runMs: number | null;
  readonly createdAt: string;
  readonly error: { readonly code: string } | null;
  readonly attempts: readonly (ToldAttempt & { readonly startedAt: string })[];
}

export interface Truth {
  readonly jobs: readonly ToldJob[];
  /** By prompt id: which instance ran it, and for how long (null: it died with it). */
  readonly runs: ReadonlyMap<string, Run>;
}

export interface Run {
  readonly instance: string;
  readonly outcome: ExecutionRecord['outcome'];
  readonly ms: number | null;
}

const JOBS = `query Jobs($after: String) { jobs(first: 100, after: $after) {
  edges { node { id status workflow runMs createdAt error { code }
    attempts { promptId outcome instanceName runMs startedAt error { code } } } }
  pageInfo { hasNextPage endCursor } } }`;

interface Page {
  readonly jobs: {
    readonly edges: readonly { readonly node: ToldJob }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  };
}

export async function readTruth(
  client: PatientClient,
  instances: readonly SimulatorProgram[],
): Promise<Truth> {
  const jobs: ToldJob[] = [];
  for (let after: string | null = null; ; ) {
    const page: Page = await client.run<Page>(JOBS, { after });
    jobs.push(...page.jobs.edges.map(({ node }) => node));
    after = page.jobs.pageInfo.endCursor;
    if (!page.jobs.pageInfo.hasNextPage) break;
  }
  const runs = new Map<string, Run>();
  for (const instance of instances) {
    for (const { promptId, startedAt, endedAt, outcome } of instance.evidence().executions)
      runs.set(promptId, {
        ...{ instance: instance.name, outcome },
        ms: endedAt === null ? null : endedAt - startedAt,
      });
  }
  return { jobs, runs };
}

/** The attempt that ended the job; null when it never had one. */
export function lastAttempt(job: ToldJob): ToldJob['attempts'][number] | null {
  return job.attempts.at(-1) ?? null;
}

/** How long the instance itself says that the job's last attempt ran. */
export function ranMs(truth: Truth, job: ToldJob): number {
  return truth.runs.get(lastAttempt(job)?.promptId ?? '')?.ms ?? Number.NaN;
}

/** From submit to the first attempt. */
export function waitedMs(job: ToldJob): number | null {
  const [first] = job.attempts;
  return first ? Date.parse(first.startedAt) - Date.parse(job.createdAt) : null;
}
