/** I1, I2, I4, I5 and I7: what the rows of a job say, each by itself and together. */
import { type FaultCode, takesDown } from '../../../src/domain/fault.ts';
import { type AttemptState, JOB_STATUSES, type JobStatus } from '../../../src/domain/job.ts';
import { OPEN_ATTEMPT_STATES } from '../../../src/domain/job-states.ts';
import { type History, isEnded, type JobHistory, type Violation } from './evidence.ts';

const OPEN: readonly AttemptState[] = OPEN_ATTEMPT_STATES;
const GIVEN_UP: readonly AttemptState[] = ['FAILED', 'LOST'];

/** In which states the newest attempt may be, by the status of its job; `none`: a job without any. */
const NEWEST: Readonly<Record<JobStatus, readonly (AttemptState | 'none')[]>> = {
  PENDING: ['none', ...GIVEN_UP],
  PROCESSING: OPEN,
  COMPLETED: ['SUCCEEDED'],
  FAILED: ['none', ...GIVEN_UP],
  CANCELED: ['none', 'CANCELED', ...GIVEN_UP, ...OPEN],
};

export function jobRules(history: History): Violation[] {
  const { jobs, strays, deleted = [], calm = true } = history;
  return [
    ...missing(history),
    ...jobs.flatMap((one) =>
      [
        ...oneState(one),
        ...oneResult(one),
        ...account(one, history.maxCrashes ?? 2),
        ...owner(one, calm),
      ].map((found) => ({ ...found, jobId: one.job.id })),
    ),
    ...strays
      .filter((attempt) => calm || !(attempt.outcome === null && deleted.includes(attempt.job_id)))
      .map((attempt) => ({
        invariant: 'I5',
        jobId: attempt.job_id,
        evidence: `attempt ${attempt.id} (${attempt.state}) of a job that is gone`,
      })),
    ...tenants(history),
  ];
}

type Found = Omit<Violation, 'jobId'>;

function missing({ jobs, acknowledged = [], deleted = [] }: History): Violation[] {
  const there = new Set([...jobs.map(({ job }) => job.id), ...deleted]);
  return acknowledged
    .filter((id) => !there.has(id))
    .map((jobId) => ({ invariant: 'I1', jobId, evidence: 'acknowledged, and not in the store' }));
}

function* oneState({ job, attempts }: JobHistory): Generator<Found> {
  const say = (evidence: string): Found => ({ invariant: 'I1', evidence });
  if (!JOB_STATUSES.includes(job.status)) {
    yield say(`the status is ${job.status}`);
    return;
  }
  if (isEnded(job.status) !== (job.finished_at !== null)) {
    yield say(`${job.status}, but finished_at is ${job.finished_at}`);
  }
  if ((job.status === 'FAILED') !== (job.error_code !== null)) {
    yield say(`${job.status}, but its error is ${job.error_code}`);
  }
  const newest = attempts.at(-1)?.state ?? 'none';
  if (!NEWEST[job.status].includes(newest)) yield say(`${job.status}, but its newest attempt is ${newest}`);
  for (const attempt of attempts.slice(0, -1)) {
    if (!GIVEN_UP.includes(attempt.state)) {
      yield say(`attempt ${attempt.number} is ${attempt.state}, and another came after it`);
    }
  }
  for (const { number, state, outcome, finished_at } of attempts) {
    const open = OPEN.includes(state);
    if (open !== (outcome === null) || open !== (finished_at === null) || (!open && outcome !== state)) {
      yield say(`attempt ${number} is ${state}, outcome ${outcome}, finished_at ${finished_at}`);
    }
  }
}

function* oneResult({ job, attempts, outputs, events }: JobHistory): Generator<Found> {
  const say = (evidence: string): Found => ({ invariant: 'I2', evidence });
  const succeeded = attempts.filter(({ state }) => state === 'SUCCEEDED');
  if (succeeded.length !== (job.status === 'COMPLETED' ? 1 : 0)) {
    yield say(`${job.status} with ${succeeded.length} succeeded attempts`);
  }
  // What a run had made when it failed or was canceled stays; of an earlier attempt nothing does.
  const accepted = job.status === 'PENDING' ? undefined : attempts.at(-1)?.id;
  for (const output of outputs) {
    if (output.attempt_id !== accepted) {
      yield say(
        `output ${output.id} belongs to attempt ${output.attempt_id}, which is not the one that counts`,
      );
    }
    const announced = events.filter(({ event }) => event.type === 'output' && event.outputId === output.id);
    if (announced.length !== 1) yield say(`output ${output.id} was announced ${announced.length} times`);
  }
  const places = new Set(outputs.map(({ attempt_id, node, ordinal }) => `${attempt_id} ${node} ${ordinal}`));
  if (places.size !== outputs.length) yield say('an output is there twice');
}

function* account({ job, attempts }: JobHistory, maxCrashes: number): Generator<Found> {
  const say = (evidence: string): Found => ({ invariant: 'I4', evidence });
  const charged = attempts.filter((attempt) => attempt.charged === 1).length;
  const crashes = attempts.filter(
    ({ error_code }) => error_code && takesDown(error_code as FaultCode),
  ).length;
  if (job.attempt_count !== attempts.length) {
    yield say(`${attempts.length} attempts, ${job.attempt_count} counted`);
  }
  if (job.charged_attempts !== charged) yield say(`${charged} charged, ${job.charged_attempts} counted`);
  if (charged > job.max_attempts) yield say(`${charged} attempts charged, of ${job.max_attempts}`);
  if (job.crashes !== crashes)
    yield say(`${crashes} attempts took their instance down, ${job.crashes} counted`);
  if (crashes > maxCrashes) yield say(`${crashes} instances went down with it, of ${maxCrashes}`);
}

function* owner({ job, attempts }: JobHistory, calm: boolean): Generator<Found> {
  const say = (evidence: string): Found => ({ invariant: 'I5', evidence });
  const open = attempts.filter(({ outcome }) => outcome === null);
  if (open.length > 1) yield say(`${open.length} open attempts`);
  if (job.status === 'PROCESSING' && open.length === 0) yield say('PROCESSING without an open attempt');
  if (open.length > 0 && job.status !== 'PROCESSING' && (calm || job.status !== 'CANCELED')) {
    yield say(`${job.status} with an open attempt`);
  }
  if (calm && !isEnded(job.status)) yield say(`still ${job.status}`);
}

function tenants({ jobs, tenantRows }: History): Violation[] {
  const tenantOf = new Map(jobs.map(({ job }) => [job.id, job.tenant]));
  return tenantRows
    .filter(({ job_id, tenant }) => tenantOf.has(job_id) && tenantOf.get(job_id) !== tenant)
    .map(({ table, job_id, tenant }) => ({
      invariant: 'I7',
      jobId: job_id,
      evidence: `the job is of ${tenantOf.get(job_id)}, its row in ${table} of ${tenant}`,
    }));
}
