/** Which jobs a client asks for. The same question is answered by SQL (store/jobs.ts) and, for live news, by `matches`. */
import { canonicalJson, type JsonObject } from '../lib/json.ts';
import type { Job, JobStatus } from './job.ts';

/** Every given field must agree; an absent one does not matter, an empty list matches nothing. */
export interface JobFilter {
  readonly status?: readonly JobStatus[] | undefined;
  readonly workflow?: readonly string[] | undefined;
  /** Ids of instances where the job runs or ran last. */
  readonly instance?: readonly string[] | undefined;
  /** The user who submitted it. */
  readonly owner?: string | undefined;
  /** Epoch ms, inclusive. */
  readonly createdAfter?: number | undefined;
  /** Epoch ms, exclusive. */
  readonly createdBefore?: number | undefined;
  /** Every given key must be there with an equal value. */
  readonly label?: JsonObject | undefined;
}

export function matches(filter: JobFilter, job: Job): boolean {
  const { status, workflow, instance, owner, createdAfter, createdBefore, label } = filter;
  return (
    (status === undefined || status.includes(job.status)) &&
    (workflow === undefined || workflow.includes(job.workflow)) &&
    (instance === undefined || (job.instanceId !== null && instance.includes(job.instanceId))) &&
    (owner === undefined || job.user === owner) &&
    (createdAfter === undefined || job.createdAt >= createdAfter) &&
    (createdBefore === undefined || job.createdAt < createdBefore) &&
    (label === undefined || hasLabels(job.labels, label))
  );
}

function hasLabels(labels: JsonObject, wanted: JsonObject): boolean {
  return Object.entries(wanted).every(([name, value]) => {
    const own = Object.hasOwn(labels, name) ? labels[name] : undefined;
    return own !== undefined && canonicalJson(own) === canonicalJson(value);
  });
}
