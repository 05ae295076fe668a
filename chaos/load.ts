/** What rounds do with a gateway from outside: submit many jobs, wait until all have ended, and read what became of them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeGlobalId } from '../src/graphql/global-id.ts';
import type { JsonObject } from '../src/lib/json.ts';
import type { Db } from '../src/store/open.ts';
import type { AttemptsTable, JobsTable, OutputsTable } from '../src/store/schema.ts';
import type { TestClient } from '../test/support/graphql-client.ts';
import type { Evidence, Violation } from '../test/support/history/evidence.ts';
import { checkHistory, withStoreOf } from '../test/support/history-checker.ts';
import type { GatewayProgram, Program, SimulatorProgram } from './processes.ts';

/** Unset, so that the program's own default holds: rounds that judge by the times of the defaults. */
export const DEFAULT_TIMES = {
  PROBE_INTERVAL_MS: '',
  PROBE_TIMEOUT_MS: '',
  RECONCILE_INTERVAL_MS: '',
  SILENCE_MS: '',
  REFUSED_LOST_MS: '',
  UNREACHABLE_LOST_MS: '',
  SUBMIT_GRACE_MS: '',
  BREAKER_OPEN_MS: '',
  RETRY_BASE_MS: '',
  RETRY_CAP_MS: '',
} as const;

/** Many processes at once on few cores take their time. */
export async function startAll(programs: readonly Program[]): Promise<void> {
  for (const program of programs) program.launch();
  await Promise.all(programs.map((program) => program.serving(120_000)));
}

/** Runs the work `count` times, so many at once. */
export async function inLanes(
  count: number,
  lanes: number,
  work: (n: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

const SUBMIT = `mutation Submit($input: SubmitJobInput!) {
  submitJob(input: $input) { __typename ... on SubmitJobSuccess { job { id } } ... on Error { code message } }
}`;

/** The id as clients have it, once the gateway has acknowledged the job. */
export async function submit(client: TestClient, graph: JsonObject, options: object = {}): Promise<string> {
  const { submitJob } = await client.run<{
    submitJob: { __typename: string; job?: { id: string }; message?: string };
  }>(SUBMIT, { input: { graph, ...options } });
  if (!submitJob.job) throw new Error(`a job was refused: ${JSON.stringify(submitJob)}`);
  return submitJob.job.id;
}

/** The id of the row. */
export function bareId(id: string): string {
  return decodeGlobalId(id)?.id ?? id;
}

interface QueueLength {
  readonly pending: number;
  readonly processing: number;
}

export async function queueLength(client: TestClient): Promise<QueueLength> {
  return (await client.run<{ queue: QueueLength }>('{ queue { pending processing } }')).queue;
}

/** Waits until nothing waits and nothing runs; says how far it is. @throws when it takes longer than allowed. */
export async function untilIdle(
  client: TestClient,
  options: {
    readonly withinMs: number;
    readonly say: (line: string) => void;
    readonly onWait?: () => Promise<void>;
  },
): Promise<void> {
  const startedAt = performance.now();
  let saidAt = startedAt;
  for (;;) {
    const { pending, processing } = await queueLength(client);
    if (pending + processing === 0) return;
    const now = performance.now();
    const line = `${Math.round((now - startedAt) / 1000)} s: ${pending} wait, ${processing} run`;
    if (now - startedAt > options.withinMs) throw new Error(`jobs did not end in time; after ${line}`);
    if (now - saidAt > 5000) {
      options.say(line);
      saidAt = now;
    }
    await options.onWait?.();
    await sleep(100);
  }
}

export interface Aftermath {
  readonly jobs: readonly JobsTable[];
  readonly attempts: readonly AttemptsTable[];
  readonly outputs: readonly OutputsTable[];
  /** What breaks a promise, by the checker of histories. */
  readonly violations: readonly Violation[];
}

/** Ends the gateway and reads its store: the embedded one unless a database is named. */
export async function aftermath(
  gateway: GatewayProgram,
  instances: readonly SimulatorProgram[],
  evidence: Evidence = {},
  databaseUrl?: string,
): Promise<Aftermath> {
  await gateway.end('SIGTERM');
  const read = async (db: Db): Promise<Aftermath> => ({
    jobs: await db.selectFrom('jobs').selectAll().execute(),
    attempts: await db.selectFrom('attempts').selectAll().orderBy('job_id').orderBy('number').execute(),
    outputs: await db.selectFrom('outputs').selectAll().execute(),
    violations: await checkHistory(db, {
      instances: instances.map((instance) => instance.evidence()),
      ...evidence,
    }),
  });
  return withStoreOf(gateway.dataDir, read, databaseUrl);
}

/** How many of each kind: `COMPLETED 97, FAILED 3`. */
export function tally(kinds: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ') || 'none';
}

/** For a finding: `0`, or how many and the first of them. */
export function countOf(violations: readonly Violation[]): string {
  const [first] = violations;
  return first ? `${violations.length}, first ${first.invariant}: ${first.evidence}` : '0';
}

export function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
