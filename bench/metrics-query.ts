/**
 * What questions about a year cost: a hundred instances that worked in every hour of it, their figures
 * really in the tables, asked through the real HTTP endpoint. Beside each the same gateway answering with nothing,
 * in turn with it. On SQLite, and on Postgres where DATABASE_URL names one (in a database of its own).
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { startGateway, type TestGateway } from '../test/support/gateway.ts';
import { createTestDatabase } from '../test/support/test-database.ts';
import { fillYear } from './metrics-year.ts';
import { quantile } from './statistics.ts';

const INSTANCES = Number(process.env.BENCH_INSTANCES ?? 100);
const DAYS = Number(process.env.BENCH_DAYS ?? 365);
const RUNS = Number(process.env.BENCH_RUNS ?? 100);
const YEAR = `from: "now-${DAYS - 1}d"`;

const QUESTIONS: Readonly<Record<string, string>> = {
  'P95 of durations by instance': `{ metricSeries(metrics: [JOB_DURATION], stat: P95, groupBy: [INSTANCE], ${YEAR}) { name intervalMs points { timeMs value } } }`,
  'the same of 90 days':
    '{ metricSeries(metrics: [JOB_DURATION], stat: P95, groupBy: [INSTANCE], from: "now-90d") { name intervalMs points { timeMs value } } }',
  'P95 of durations of the fleet': `{ metricSeries(metrics: [JOB_DURATION], stat: P95, ${YEAR}) { name intervalMs points { timeMs value } } }`,
  'completed by instance, as rows': `{ metricRows(metrics: [JOBS_COMPLETED], groupBy: [INSTANCE], ${YEAR}) { timeMs value instance } }`,
  'completed of the fleet, as rows': `{ metricRows(metrics: [JOBS_COMPLETED], ${YEAR}) { timeMs value } }`,
  'P95 of durations by tenant': `{ metricSeries(metrics: [JOB_DURATION], stat: P95, groupBy: [TENANT], ${YEAR}) { name intervalMs points { timeMs value } } }`,
  'busy share by instance': `{ metricSeries(metrics: [INSTANCE_BUSY], groupBy: [INSTANCE], ${YEAR}) { name points { timeMs value } } }`,
  'GPU seconds of one day, by instance':
    '{ metricSeries(metrics: [GPU_SECONDS], groupBy: [INSTANCE], from: "now-1d") { name points { timeMs value } } }',
  'metrics, everything of it': `{ metrics(${YEAR}) { totalProcessed successRate jobsPerHour durationMs { p50 p95 p99 } queueTimeMs { p95 } byInstance { instanceName completed failed utilization durationMs { p95 } } byWorkflow { workflow completed durationMs { p95 } } errors { code count rate } } }`,
};
const NOTHING = '{ __typename }';

export async function metricsQuery(): Promise<void> {
  await onEngine('SQLite', {});
  if (!process.env.DATABASE_URL) return;
  const database = await createTestDatabase();
  try {
    await onEngine('Postgres', { DATABASE_URL: database.url });
  } finally {
    await database.drop();
  }
}

async function onEngine(name: string, env: Record<string, string>): Promise<void> {
  const gateway = await startGateway({ LOG_LEVEL: 'silent', ...env });
  try {
    const instances: string[] = [];
    for (let n = 0; n < INSTANCES; n++) instances.push((await gateway.addInstance(`gpu${n}`)).id);
    const rows = await fillYear(gateway.store, instances, DAYS);
    console.log(
      `\n${name}: ${INSTANCES} instances, ${DAYS} days, ${rows} cells; ms of ${RUNS} requests each\n`,
    );
    console.log(`${''.padEnd(38)}   p50     p95   nothing: p50     p95   longest block`);
    for (const [question, query] of Object.entries(QUESTIONS)) await measure(gateway, question, query);
  } finally {
    await gateway.stop();
  }
}

async function measure(gateway: TestGateway, name: string, query: string): Promise<void> {
  const [took, base]: [number[], number[]] = [[], []];
  for (let n = 0; n < 5; n++) await ask(gateway, query);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  for (let n = 0; n < RUNS; n++) {
    base.push(await ask(gateway, NOTHING));
    delay.enable();
    took.push(await ask(gateway, query));
    delay.disable();
  }
  const ms = (samples: number[], q: number): string => quantile(samples, q).toFixed(1).padStart(7);
  const block = (delay.max / 1e6).toFixed(1).padStart(12);
  console.log(
    `${name.padEnd(36)}${ms(took, 0.5)} ${ms(took, 0.95)}        ${ms(base, 0.5)} ${ms(base, 0.95)} ${block}`,
  );
}

async function ask({ graphqlUrl }: TestGateway, query: string): Promise<number> {
  const at = performance.now();
  const response = await fetch(graphqlUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  const { errors } = (await response.json()) as { errors?: readonly { readonly message: string }[] };
  if (errors) throw new Error(errors[0]?.message);
  return performance.now() - at;
}
