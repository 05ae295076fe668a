/** What Prometheus is told of jobs, by workflow. */
import { ENDED_JOB_STATUSES } from '../../domain/job-states.ts';
import { compact, countUpTo } from '../../domain/metric-cell.ts';
import type { Db } from '../../store/open.ts';
import { allTime, type Total } from './all-time.ts';
import { type FleetMetric, PREFIX } from './names.ts';
import type { Sample } from './sample.ts';

/** Seconds: powers of two, which are edges of the bins, so that what is counted below each is exact. */
const BOUNDS = Array.from({ length: 15 }, (_, n) => 2 ** (n - 3));

export async function readJobSamples(db: Db) {
  const by = ['workflow'] as const;
  const submitted = await allTime(db, { measure: 'submitted', by });
  const ended = await allTime(db, { measure: 'ended', by: ['workflow', 'status'] });
  const failed = await allTime(db, { measure: 'ended', by: ['workflow', 'code'], status: ['FAILED'] });
  const queued = await allTime(db, { measure: 'queue_time', by, bins: true });
  const ran = await allTime(db, { measure: 'run_time', by, status: ['COMPLETED'], bins: true });
  return {
    jobs_submitted_total: submitted.map(counted),
    jobs_total: ofEachStatus(submitted, ended),
    job_failures_total: failed.map(counted),
    job_queue_seconds: queued.flatMap((total) => histogram('job_queue_seconds', total)),
    job_run_seconds: ran.flatMap((total) => histogram('job_run_seconds', total)),
  };
}

/** Zeros too: the first failures of a workflow are a rise only where there was something before. */
function ofEachStatus(submitted: readonly Total[], ended: readonly Total[]): Sample[] {
  const place = (workflow: string | undefined, status: string | undefined): string =>
    JSON.stringify([workflow, status]);
  const counts = new Map(ended.map(({ key, cell }) => [place(key.workflow, key.status), cell.count]));
  const workflows = new Set([...submitted, ...ended].map(({ key }) => key.workflow ?? ''));
  return [...workflows].flatMap((workflow) =>
    ENDED_JOB_STATUSES.map((status) => ({
      labels: { workflow, status },
      value: counts.get(place(workflow, status)) ?? 0,
    })),
  );
}

function counted({ key, cell }: Total): Sample {
  return { labels: key, value: cell.count };
}

function histogram(metric: FleetMetric, { key, cell }: Total): Sample[] {
  const part = (suffix: string, value: number, le?: number | string): Sample => ({
    metricName: `${PREFIX}${metric}_${suffix}`,
    labels: le === undefined ? key : { le, ...key },
    value,
  });
  const bins = compact(cell.bins);
  return [
    ...BOUNDS.map((le) => part('bucket', countUpTo(bins, le * 1000), le)),
    part('bucket', cell.count, '+Inf'),
    part('sum', cell.sum / 1000),
    part('count', cell.count),
  ];
}
