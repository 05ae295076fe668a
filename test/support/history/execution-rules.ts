/** I3: what the instances were posted and ran, against the attempts that stand in the store. */
import type { AttemptState } from '../../../src/domain/job.ts';
import { isObject } from '../../../src/lib/json.ts';
import type { AttemptsTable } from '../../../src/store/schema.ts';
import type { History, InstanceLog, JobHistory, Violation } from './evidence.ts';

export function executionRules(history: History): Violation[] {
  const { instances = [] } = history;
  const attempts = new Map<string, AttemptsTable>();
  for (const attempt of [...history.jobs.flatMap((one) => one.attempts), ...history.strays]) {
    attempts.set(attempt.id, attempt);
  }
  const executions = new Map<string, number>();
  for (const { promptId } of instances.flatMap((log) => log.executions)) {
    executions.set(promptId, (executions.get(promptId) ?? 0) + 1);
  }
  return [
    ...posts(instances, attempts, new Set(history.deleted)),
    ...runs(executions, attempts),
    ...history.jobs.flatMap((one) => [...again(one, executions)]),
  ];
}

const GIVEN_UP: readonly AttemptState[] = ['FAILED', 'LOST'];

const say = (jobId: string | null, evidence: string): Violation => ({ invariant: 'I3', jobId, evidence });

function* posts(
  instances: readonly InstanceLog[],
  attempts: ReadonlyMap<string, AttemptsTable>,
  deleted: ReadonlySet<string>,
): Generator<Violation> {
  const seen = new Map<string, number>();
  for (const { name, prompts } of instances) {
    for (const { promptId, tag } of prompts) {
      const known = attempts.get(promptId);
      if (!known && tag === null) continue;
      seen.set(promptId, (seen.get(promptId) ?? 0) + 1);
      if (known) yield* misplaced(known, name, tag);
      else if (!isExcused(tag, deleted)) {
        yield say(null, `prompt ${promptId} was posted for no attempt (${JSON.stringify(tag)})`);
      }
    }
  }
  for (const [promptId, times] of seen) {
    if (times > 1)
      yield say(attempts.get(promptId)?.job_id ?? null, `prompt ${promptId} was posted ${times} times`);
  }
}

function* misplaced(
  attempt: AttemptsTable,
  instance: string | undefined,
  tag: unknown,
): Generator<Violation> {
  const { id, job_id, instance_name } = attempt;
  if (instance !== undefined && instance !== instance_name) {
    yield say(
      job_id,
      `the prompt of attempt ${id} was posted to ${instance}, its attempt names ${instance_name}`,
    );
  }
  if (!isObject(tag) || tag.job !== job_id || tag.attempt !== id) {
    yield say(job_id, `prompt ${id} is tagged ${JSON.stringify(tag)}`);
  }
}

/** A canary, or of a job that was deleted. */
function isExcused(tag: unknown, deleted: ReadonlySet<string>): boolean {
  return isObject(tag) && (tag.canary === true || (typeof tag.job === 'string' && deleted.has(tag.job)));
}

function* runs(
  executions: ReadonlyMap<string, number>,
  attempts: ReadonlyMap<string, AttemptsTable>,
): Generator<Violation> {
  for (const [promptId, times] of executions) {
    const known = attempts.get(promptId);
    if (times > 1 && known) yield say(known.job_id, `prompt ${promptId} ran ${times} times`);
  }
}

/** One run, and one more for each attempt that was lost or retried. */
function* again(
  { job, attempts }: JobHistory,
  executions: ReadonlyMap<string, number>,
): Generator<Violation> {
  const runs = attempts.reduce((sum, { id }) => sum + (executions.get(id) ?? 0), 0);
  const decided = job.status === 'FAILED' ? attempts.at(-1)?.id : undefined;
  const repeated = attempts.filter(({ id, state }) => GIVEN_UP.includes(state) && id !== decided).length;
  if (runs > 1 + repeated) yield say(job.id, `${runs} executions, ${repeated} attempts lost or retried`);
}
