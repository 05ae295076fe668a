/** The facts that the rows of jobs and their attempts imply: what the recorder must have noted by then, and no other. */
import type { Attempt, AttemptOutcome, Job } from '../../src/domain/job.ts';
import { hasEnded } from '../../src/domain/job-states.ts';
import type { MetricFact } from '../../src/domain/metric-fact.ts';
import { takeFacts } from '../../src/store/metric-outbox.ts';
import type { Store } from '../../src/store/open.ts';

/** What is in the outbox, in an order that does not depend on the engine; it is empty afterwards. */
export async function takeAllFacts(store: Store): Promise<MetricFact[]> {
  return inOrder(await store.transaction((tx) => takeFacts(tx, 10_000)));
}

/** In the same order. */
export function factsOfRows(
  jobs: readonly Job[],
  attempts: ReadonlyMap<string, readonly Attempt[]>,
): MetricFact[] {
  return inOrder(jobs.flatMap((job) => ofJob(job, attempts.get(job.id) ?? [])));
}

function ofJob(job: Job, attempts: readonly Attempt[]): MetricFact[] {
  const { tenant, workflow, error, runMs, instanceId, createdAt, startedAt, finishedAt } = job;
  const common = { tenant, workflow };
  const facts: MetricFact[] = [{ kind: 'submitted', at: createdAt, ...common }];
  const [first] = attempts;
  if (first && startedAt !== null) {
    const queueMs = startedAt - createdAt;
    facts.push({ kind: 'started', at: startedAt, ...common, instanceId: first.instanceId, queueMs });
  }
  // a job that waited too long was ended by no attempt
  const byAttempt =
    (job.status === 'COMPLETED' || job.status === 'FAILED') && error?.code !== 'DEADLINE_EXCEEDED';
  for (const attempt of attempts) {
    if (attempt.finishedAt === null) continue;
    const counted = byAttempt && attempt === attempts.at(-1);
    facts.push({
      kind: 'attempt-ended',
      at: attempt.finishedAt,
      ...common,
      instanceId: attempt.instanceId,
      outcome: attempt.state as AttemptOutcome,
      code: attempt.error?.code ?? null,
      runMs: attempt.runMs ?? 0,
      counted,
    });
  }
  if (hasEnded(job.status) && finishedAt !== null) {
    const status = job.status as 'COMPLETED' | 'FAILED' | 'CANCELED';
    const [code, message] = [error?.code ?? null, error?.message ?? null];
    facts.push({ kind: 'ended', at: finishedAt, ...common, instanceId, status, code, message, runMs });
  }
  return facts;
}

function inOrder(facts: readonly MetricFact[]): MetricFact[] {
  const keyOf = (fact: MetricFact) => JSON.stringify(Object.entries(fact).sort());
  return [...facts].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}
