/** What can be asked of figures over time: the enums, and the filter. */
import type { MetricDimension, MetricName, MetricStat } from '../metrics/series/figures.ts';
import type { Builder } from './builder.ts';
import { MOST_CHOICES } from './choices.ts';
import type { Refs } from './refs.ts';

const NAMES: Readonly<Record<MetricName, { readonly description: string }>> = {
  JOBS_SUBMITTED: { description: 'Jobs taken in. By WORKFLOW, TENANT. Unit: short.' },
  JOBS_COMPLETED: {
    description:
      'Jobs that ended COMPLETED. By INSTANCE (where it ran last), STATUS, WORKFLOW, TENANT. Unit: short.',
  },
  JOBS_FAILED: {
    description:
      'Jobs that ended FAILED. By INSTANCE (where it ran last), STATUS, WORKFLOW, ERROR_CODE, TENANT. Unit: short.',
  },
  JOBS_CANCELED: {
    description:
      'Jobs that ended CANCELED. By INSTANCE (where it ran last), STATUS, WORKFLOW, TENANT. Unit: short.',
  },
  ATTEMPTS_FAILED: {
    description:
      'Attempts that failed or were lost, those whose job was tried again too: what retries hide. By INSTANCE, WORKFLOW, ERROR_CODE, TENANT. Unit: short.',
  },
  JOB_DURATION: {
    description:
      'Job.runMs of jobs that ended, at the time they ended: those that ended COMPLETED, unless filter.statuses or groupBy STATUS asks for others. By INSTANCE, STATUS, WORKFLOW, TENANT. Unit: ms.',
  },
  JOB_QUEUE_TIME: {
    description:
      'Job.queueMs, at the time the first attempt began. By INSTANCE (that got it), WORKFLOW, TENANT. Unit: ms.',
  },
  QUEUE_DEPTH: { description: 'Jobs that wait, sampled every few seconds. Unit: short.' },
  INSTANCES_HEALTHY: { description: 'Instances that are HEALTHY, sampled every few seconds. Unit: short.' },
  INSTANCE_BUSY: {
    description:
      'Share of the time in which an instance ran something, 0 to 1, with what runs now; without groupBy the mean of the instances that were heard of. By INSTANCE. Unit: percentunit.',
  },
  INSTANCE_RESPONSE_TIME: {
    description: 'How long health probes took, sampled every few seconds. By INSTANCE. Unit: ms.',
  },
  INSTANCE_VRAM_USED: {
    description:
      'GPU memory in use, sampled every few seconds; without groupBy over the samples of all instances. By INSTANCE. Unit: bytes.',
  },
  GPU_SECONDS: {
    description:
      'Time that attempts spent on instances, of every attempt that ended, in the points in which it was spent. By INSTANCE, WORKFLOW, TENANT. Unit: s.',
  },
};

const STATS: Readonly<Record<MetricStat, { readonly description: string }>> = {
  SUM: { description: 'All together; how many, of jobs and attempts. Not of samples.' },
  AVG: { description: 'Mean.' },
  MIN: { description: 'Least.' },
  MAX: { description: 'Most.' },
  LAST: { description: 'The newest one; of samples only.' },
  RATE: {
    description:
      'SUM per second of the point, and of what has passed of the newest one; of jobs, attempts and GPU_SECONDS.',
  },
  P50: { description: 'Median, within 4.4 %, as the other quantiles; of durations and samples.' },
  P90: { description: 'What 90 % do not exceed.' },
  P95: { description: 'What 95 % do not exceed.' },
  P99: { description: 'What 99 % do not exceed.' },
};

const DIMENSIONS: Readonly<Record<MetricDimension, { readonly description: string }>> = {
  INSTANCE: { description: 'Name of the instance; instances of one name count together.' },
  STATUS: { description: 'JobStatus the job ended with.' },
  WORKFLOW: { description: 'Name of the workflow; "raw" for a graph submitted as is.' },
  ERROR_CODE: { description: 'Code of the error.' },
  TENANT: { description: 'Whose jobs they are.' },
};

export function addMetricTypes(builder: Builder, refs: Refs) {
  return {
    MetricName: builder.enumType('MetricName', {
      description: 'A figure that is kept over time.',
      values: NAMES,
    }),
    MetricStat: builder.enumType('MetricStat', {
      description:
        'What the values of a point are made into. When none is given: SUM of jobs, attempts and GPU_SECONDS, AVG of all else. One that a metric has not is BAD_USER_INPUT.',
      values: STATS,
    }),
    MetricDimension: builder.enumType('MetricDimension', {
      description:
        'By what a figure is told apart. What a metric is not told apart by is null, or absent from labels.',
      values: DIMENSIONS,
    }),
    MetricFilter: builder.inputType('MetricFilter', {
      description: `Of which jobs or instances: every given field must agree, an empty list matches nothing. A field that a metric is not told apart by is BAD_USER_INPUT, and so are more than ${MOST_CHOICES} values in a list.`,
      fields: (t) => ({
        instances: t.idList({ description: 'Of one of these instances; ids of none match nothing.' }),
        statuses: t.field({ type: [refs.JobStatus], description: 'Of jobs that ended with one of these.' }),
        workflows: t.stringList({ description: 'Of one of these workflows, by name.' }),
      }),
    }),
  };
}

export type MetricTypes = ReturnType<typeof addMetricTypes>;
