/** Every figure of GraphQL and of Prometheus beside what clients were told and what the instances wrote down. */
import type { PrometheusMetric } from '../../test/support/prometheus-text.ts';
import { percentile } from '../percentile.ts';
import { type Comparison, compareAll, sumBy } from './compare.ts';
import { type Figures, type FleetFigures, scraped } from './figures.ts';
import { lastAttempt, ranMs, type ToldAttempt, type ToldJob, type Truth, waitedMs } from './truth.ts';

/** A bin of a histogram is so much wider than its lower edge. */
const BIN = 2 ** (1 / 16) - 1;
/** Between the log of an instance and what its history says of the same run. */
const RUN_MS = 3;
/** What an instance takes down with it is known as far as it was heard. */
const DIED_MS = 5000;
const SHARES = { P50: 0.5, P90: 0.9, P95: 0.95, P99: 0.99 } as const;

const everything = (): string => '';
const instanceOf = (job: ToldJob): string => lastAttempt(job)?.instanceName ?? '';
const codeOf = (job: ToldJob): string => job.error?.code ?? '';
const only = (truth: Truth, status: ToldJob['status']): ToldJob[] =>
  truth.jobs.filter((job) => job.status === status);
const attemptsOf = (truth: Truth) => truth.jobs.flatMap(({ attempts }) => attempts);

export async function compareRows(truth: Truth, figures: Figures): Promise<Comparison[]> {
  const { jobs } = truth;
  const found = [
    compareAll('JOBS_SUBMITTED', sumBy(jobs, everything), await figures.by('JOBS_SUBMITTED', 'SUM')),
    compareAll(
      'JOBS_SUBMITTED by WORKFLOW',
      sumBy(jobs, ({ workflow }) => workflow),
      await figures.by('JOBS_SUBMITTED', 'SUM', 'WORKFLOW'),
    ),
  ];
  for (const status of ['COMPLETED', 'FAILED', 'CANCELED'] as const) {
    const name = `JOBS_${status}`;
    const ended = only(truth, status);
    found.push(
      compareAll(name, sumBy(ended, everything), await figures.by(name, 'SUM')),
      compareAll(`${name} by INSTANCE`, sumBy(ended, instanceOf), await figures.by(name, 'SUM', 'INSTANCE')),
      compareAll(
        `${name} by WORKFLOW`,
        sumBy(ended, ({ workflow }) => workflow),
        await figures.by(name, 'SUM', 'WORKFLOW'),
      ),
      compareAll(
        `${name} by STATUS`,
        sumBy(ended, () => status),
        await figures.by(name, 'SUM', 'STATUS'),
      ),
      compareAll(
        `${name} by TENANT`,
        sumBy(ended, () => 'default'),
        await figures.by(name, 'SUM', 'TENANT'),
      ),
    );
  }
  const failed = only(truth, 'FAILED');
  found.push(
    compareAll(
      'JOBS_FAILED by ERROR_CODE',
      sumBy(failed, codeOf),
      await figures.by('JOBS_FAILED', 'SUM', 'ERROR_CODE'),
    ),
  );
  return [
    ...found.flat(),
    ...(await compareAttempts(truth, figures)),
    ...(await compareTimes(truth, figures)),
  ];
}

async function compareAttempts(truth: Truth, figures: Figures): Promise<Comparison[]> {
  const failed = attemptsOf(truth).filter(({ outcome }) => outcome === 'FAILED' || outcome === 'LOST');
  return [
    compareAll(
      'ATTEMPTS_FAILED by INSTANCE',
      sumBy(failed, ({ instanceName }) => instanceName),
      await figures.by('ATTEMPTS_FAILED', 'SUM', 'INSTANCE'),
    ),
    compareAll(
      'ATTEMPTS_FAILED by ERROR_CODE',
      sumBy(failed, ({ error }) => error?.code ?? ''),
      await figures.by('ATTEMPTS_FAILED', 'SUM', 'ERROR_CODE'),
    ),
    compareAll(
      'GPU_SECONDS by INSTANCE (the instance itself)',
      gpuSeconds(truth),
      await figures.by('GPU_SECONDS', 'SUM', 'INSTANCE'),
      (_, instance) => gpuTolerance(truth, instance),
    ),
    compareAll(
      'GPU_SECONDS by INSTANCE (Attempt.runMs)',
      sumBy(
        attemptsOf(truth).filter(({ runMs }) => runMs > 0),
        ({ instanceName }) => instanceName,
        ({ runMs }) => Math.round(runMs) / 1000,
      ),
      await figures.by('GPU_SECONDS', 'SUM', 'INSTANCE'),
    ),
  ].flat();
}

/** In s, by instance, by its own log. */
function gpuSeconds(truth: Truth): Map<string, number> {
  const runs = attemptsOf(truth).flatMap(({ promptId }) => truth.runs.get(promptId) ?? []);
  return sumBy(
    runs,
    ({ instance }) => instance,
    ({ ms }) => (ms ?? 0) / 1000,
  );
}

/** In s. */
function gpuTolerance(truth: Truth, instance: string): number {
  const own = attemptsOf(truth).filter(({ instanceName }) => instanceName === instance);
  const died = ({ outcome, promptId }: ToldAttempt): boolean =>
    outcome === 'LOST' || truth.runs.get(promptId)?.ms === null;
  return own.reduce((sum, attempt) => sum + (died(attempt) ? DIED_MS : RUN_MS), 0) / 1000;
}

async function compareTimes(truth: Truth, figures: Figures): Promise<Comparison[]> {
  const completed = only(truth, 'COMPLETED');
  const started = truth.jobs.filter((job) => waitedMs(job) !== null);
  const waited = started.map((job) => waitedMs(job) ?? 0);
  const found = [
    compareAll(
      'JOB_DURATION SUM by INSTANCE (the instance itself)',
      sumBy(completed, instanceOf, (job) => ranMs(truth, job)),
      await figures.by('JOB_DURATION', 'SUM', 'INSTANCE'),
      (_, name) => RUN_MS * completed.filter((job) => instanceOf(job) === name).length,
    ),
    compareAll(
      'JOB_DURATION SUM by WORKFLOW (Job.runMs)',
      sumBy(
        completed,
        ({ workflow }) => workflow,
        ({ runMs }) => Math.round(runMs ?? Number.NaN),
      ),
      await figures.by('JOB_DURATION', 'SUM', 'WORKFLOW'),
    ),
    compareAll(
      'JOB_QUEUE_TIME SUM',
      sumBy(waited, everything, (ms) => ms),
      await figures.by('JOB_QUEUE_TIME', 'SUM'),
    ),
  ];
  const ran = completed.map((job) => ranMs(truth, job));
  for (const [stat, share] of Object.entries(SHARES)) {
    const within = (value: number): number => value * BIN + RUN_MS;
    const quantile = (values: readonly number[]) => new Map([['', percentile(values, share)]]);
    found.push(
      compareAll(`JOB_DURATION ${stat}`, quantile(ran), await figures.by('JOB_DURATION', stat), within),
      compareAll(
        `JOB_QUEUE_TIME ${stat}`,
        quantile(waited),
        await figures.by('JOB_QUEUE_TIME', stat),
        within,
      ),
    );
    const byInstance = new Map(
      [...new Set(completed.map(instanceOf))].map((name) => {
        const own = completed.filter((job) => instanceOf(job) === name);
        return [
          name,
          percentile(
            own.map((job) => ranMs(truth, job)),
            share,
          ),
        ];
      }),
    );
    const says = await figures.by('JOB_DURATION', stat, 'INSTANCE');
    found.push(compareAll(`JOB_DURATION ${stat} by INSTANCE`, byInstance, says, within));
  }
  return found.flat();
}

export function compareFleet(truth: Truth, { metrics, usage }: FleetFigures): Comparison[] {
  const [completed, failed] = [only(truth, 'COMPLETED'), only(truth, 'FAILED')];
  const processed = completed.length + failed.length;
  const ran = completed.map((job) => ranMs(truth, job));
  const mean = ran.reduce((sum, ms) => sum + ms, 0) / ran.length;
  const one = (what: string, value: number, figure: number | null, allowed = 0): Comparison => ({
    ...{ what, truth: value, figure: figure ?? Number.NaN, allowed },
  });
  const counted = [...completed, ...failed].map(({ runMs }) => Math.round(runMs ?? 0) / 1000);
  const gpu = attemptsOf(truth).map(({ runMs }) => Math.round(runMs) / 1000);
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const workflowOf = ({ workflow }: { readonly workflow: string }): string => workflow;
  return [
    one('metrics.totalProcessed', processed, metrics.totalProcessed),
    one('metrics.successRate', completed.length / processed, metrics.successRate),
    one('metrics.durationMs.avg', mean, metrics.durationMs.avg, RUN_MS),
    ...(['p50', 'p90', 'p95', 'p99'] as const).map((name) => {
      const value = percentile(ran, SHARES[name.toUpperCase() as keyof typeof SHARES]);
      return one(`metrics.durationMs.${name}`, value, metrics.durationMs[name], value * BIN + RUN_MS);
    }),
    ...compareAll(
      'metrics.byInstance.completed',
      sumBy(completed, instanceOf),
      sumBy(
        metrics.byInstance,
        (part) => part.instanceName,
        (part) => part.completed,
      ),
    ),
    ...compareAll(
      'metrics.byInstance.failed',
      sumBy(
        failed.filter((job) => lastAttempt(job)),
        instanceOf,
      ),
      sumBy(
        metrics.byInstance,
        (part) => part.instanceName,
        (part) => part.failed,
      ),
    ),
    ...compareAll(
      'metrics.byWorkflow.completed',
      sumBy(completed, workflowOf),
      sumBy(metrics.byWorkflow, workflowOf, (part) => part.completed),
    ),
    ...compareAll(
      'metrics.errors',
      sumBy(failed, (job) => `${codeOf(job)} ${instanceOf(job)} ${job.workflow}`),
      sumBy(
        metrics.errors,
        (row) => `${row.code} ${row.instance ?? ''} ${row.workflow}`,
        (row) => row.count,
      ),
    ),
    ...compareAll(
      'usage.jobs',
      sumBy(truth.jobs, workflowOf),
      sumBy(usage, workflowOf, (row) => row.jobs),
    ),
    one('usage.gpuSeconds (Attempt.runMs)', sum(gpu), sum(usage.map((row) => row.gpuSeconds))),
    one('usage.countedGpuSeconds (Job.runMs)', sum(counted), sum(usage.map((row) => row.countedGpuSeconds))),
  ];
}

export function compareScraped(truth: Truth, metrics: ReadonlyMap<string, PrometheusMetric>): Comparison[] {
  const [completed, failed] = [only(truth, 'COMPLETED'), only(truth, 'FAILED')];
  const attempts = attemptsOf(truth);
  const seconds = completed.map((job) => Math.round(job.runMs ?? 0) / 1000);
  const upTo = (le: number): number => seconds.filter((value) => value <= le).length;
  const instanceName = (attempt: { readonly instanceName: string }): string => attempt.instanceName;
  return [
    ...compareAll(
      'jobs_submitted_total',
      sumBy(truth.jobs, ({ workflow }) => workflow),
      scraped(metrics, 'jobs_submitted_total', 'workflow'),
    ),
    ...compareAll(
      'jobs_total',
      sumBy(truth.jobs, ({ status }) => status),
      scraped(metrics, 'jobs_total', 'status'),
    ),
    ...compareAll(
      'job_failures_total',
      sumBy(failed, codeOf),
      scraped(metrics, 'job_failures_total', 'code'),
    ),
    ...['SUCCEEDED', 'FAILED', 'CANCELED', 'LOST'].flatMap((outcome) =>
      compareAll(
        `attempts_total ${outcome}`,
        sumBy(
          attempts.filter((attempt) => attempt.outcome === outcome),
          instanceName,
        ),
        scraped(metrics, 'attempts_total', 'instance_name', { outcome }),
      ),
    ),
    ...compareAll(
      'attempt_failures_total',
      sumBy(
        attempts.filter(({ outcome }) => outcome === 'FAILED' || outcome === 'LOST'),
        ({ error }) => error?.code ?? '',
      ),
      scraped(metrics, 'attempt_failures_total', 'code'),
    ),
    ...compareAll(
      'job_run_seconds_count',
      sumBy(completed, () => ''),
      scraped(metrics, 'job_run_seconds_count'),
    ),
    ...compareAll(
      'job_run_seconds_sum (Job.runMs)',
      new Map([['', seconds.reduce((a, b) => a + b, 0)]]),
      scraped(metrics, 'job_run_seconds_sum'),
    ),
    ...['0.125', '0.25', '0.5', '1', '2'].flatMap((le) =>
      compareAll(
        `job_run_seconds_bucket le=${le}`,
        new Map([['', upTo(Number(le))]]),
        scraped(metrics, 'job_run_seconds_bucket', null, { le }),
      ),
    ),
    ...compareAll(
      'job_queue_seconds_count',
      new Map([['', truth.jobs.filter((job) => waitedMs(job) !== null).length]]),
      scraped(metrics, 'job_queue_seconds_count'),
    ),
    ...compareAll(
      'instance_gpu_seconds_total (the instance itself)',
      gpuSeconds(truth),
      scraped(metrics, 'instance_gpu_seconds_total', 'instance_name'),
      (_, instance) => gpuTolerance(truth, instance),
    ),
  ];
}
