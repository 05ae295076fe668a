/** What is noted for the figures at each change of a job: rows to facts. Pure; the recorder writes them beside the change. */
import { FAULTS, type Fault } from '../domain/fault.ts';
import type { Job } from '../domain/job.ts';
import type { MetricFact } from '../domain/metric-fact.ts';
import { present } from '../lib/assert.ts';
import { attemptFromRow } from '../store/rows.ts';
import type { AttemptsTable } from '../store/schema.ts';

type EndedStatus = Extract<MetricFact, { kind: 'ended' }>['status'];

export function submittedFact({ createdAt: at, tenant, workflow }: Job): MetricFact {
  return { kind: 'submitted', at, tenant, workflow };
}

/** Of a job whose first attempt was just written. */
export function startedFact(job: Job, instanceId: string, at: number): MetricFact {
  const { tenant, workflow, createdAt } = job;
  // another process wrote the time of the submit, perhaps by a clock that is ahead
  return { kind: 'started', at, tenant, workflow, instanceId, queueMs: Math.max(0, at - createdAt) };
}

/** `counted`: it ended its job, COMPLETED or FAILED. */
export function attemptEndedFact(row: AttemptsTable, workflow: string, counted: boolean): MetricFact {
  const { tenant, instanceId, error, finishedAt, runMs } = attemptFromRow(row);
  return {
    kind: 'attempt-ended',
    at: present(finishedAt, 'the end of an attempt that has ended'),
    tenant,
    workflow,
    instanceId,
    outcome: present(row.outcome, 'the outcome of an attempt that has ended'),
    code: error?.code ?? null,
    runMs: runMs ?? 0,
    counted,
  };
}

/** Of a job that has just ended. */
export function endedFact(job: Job): MetricFact {
  const { tenant, workflow, instanceId, error, runMs } = job;
  return {
    kind: 'ended',
    at: job.updatedAt,
    tenant,
    workflow,
    instanceId,
    status: job.status as EndedStatus,
    code: error?.code ?? null,
    message: error && messageOf(error),
    runMs,
  };
}

/** Not what a node said: that may hold inputs of the job, and figures are kept for longer, and for everybody. */
function messageOf({ code, nodeType }: Fault): string {
  const { message } = FAULTS[code];
  return nodeType === null ? message : `${message} (${nodeType})`;
}
