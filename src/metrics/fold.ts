/** What facts add to the figures: rollups, usage of days, newest failures. Pure. */
import { cellOf, countOf, sumOf } from '../domain/metric-cell.ts';
import type { MetricFact } from '../domain/metric-fact.ts';
import { bucketOf } from '../domain/metric-measure.ts';
import type { Increment } from '../store/rollups.ts';
import type { MetricFailuresTable, MetricUsageTable } from '../store/schema.ts';
import { Increments, isKept, type Kept, partsOf, type Time } from './increments.ts';

export interface Folded {
  readonly increments: readonly Increment[];
  readonly usage: readonly MetricUsageTable[];
  readonly failures: readonly MetricFailuresTable[];
}

type Ended = Extract<MetricFact, { kind: 'ended' }>;
type AttemptEnded = Extract<MetricFact, { kind: 'attempt-ended' }>;

/** UTC; by which usage is kept. */
const DAY = 86_400_000;

/** Each cell, each day of usage and each kind of failure once, however many facts add to it. */
export function fold(facts: readonly MetricFact[], limits: Kept): Folded {
  const increments = new Increments(limits);
  const usage = new Usage(limits);
  const failures = new Map<string, MetricFailuresTable>();
  for (const fact of facts) {
    addFigures(increments, fact);
    usage.add(fact);
    if (fact.kind === 'ended' && fact.status === 'FAILED') noteFailure(failures, fact);
  }
  return { increments: increments.all(), usage: usage.all(), failures: [...failures.values()] };
}

function addFigures(increments: Increments, fact: MetricFact): void {
  const { at, workflow, tenant } = fact;
  switch (fact.kind) {
    case 'submitted':
      increments.at('submitted', { workflow, tenant }, at, countOf(1));
      break;
    case 'started': {
      const key = { instance: fact.instanceId, workflow, tenant };
      increments.at('queue_time', key, at, cellOf(fact.queueMs));
      break;
    }
    case 'attempt-ended': {
      const key = { instance: fact.instanceId, workflow, tenant };
      increments.at('attempts', { ...key, status: fact.outcome, code: fact.code ?? '' }, at, countOf(1));
      increments.during('gpu_time', key, timeOnInstance(fact), sumOf);
      break;
    }
    case 'ended': {
      const key = { instance: fact.instanceId ?? '', workflow, tenant, status: fact.status };
      increments.at('ended', { ...key, code: fact.code ?? '' }, at, countOf(1));
      if (fact.runMs !== null) increments.at('run_time', key, at, cellOf(fact.runMs));
    }
  }
}

/** It is known when the attempt ended and how long it was there: so it counts as having been there last. */
function timeOnInstance({ at, runMs }: AttemptEnded): Time {
  return { from: at - runMs, to: at };
}

class Usage {
  readonly #rows = new Map<string, MetricUsageTable>();
  readonly #limits: Kept;

  constructor(limits: Kept) {
    this.#limits = limits;
  }

  add(fact: MetricFact): void {
    if (fact.kind === 'ended' && isKept(DAY, fact.at, this.#limits))
      this.#to(bucketOf(DAY, fact.at), fact, { jobs: 1 });
    if (fact.kind !== 'attempt-ended') return;
    for (const { bucket, ms } of partsOf(DAY, timeOnInstance(fact), this.#limits))
      this.#to(bucket, fact, { gpu_ms: ms, counted_gpu_ms: fact.counted ? ms : 0 });
  }

  all(): MetricUsageTable[] {
    return [...this.#rows.values()];
  }

  #to(day: number, { tenant, workflow }: MetricFact, more: Partial<MetricUsageTable>): void {
    const key = JSON.stringify([day, tenant, workflow]);
    const row = this.#rows.get(key) ?? { day, tenant, workflow, jobs: 0, gpu_ms: 0, counted_gpu_ms: 0 };
    const { jobs = 0, gpu_ms = 0, counted_gpu_ms = 0 } = more;
    this.#rows.set(key, {
      ...row,
      jobs: row.jobs + jobs,
      gpu_ms: row.gpu_ms + gpu_ms,
      counted_gpu_ms: row.counted_gpu_ms + counted_gpu_ms,
    });
  }
}

function noteFailure(failures: Map<string, MetricFailuresTable>, fact: Ended): void {
  const row: MetricFailuresTable = {
    code: fact.code ?? '',
    instance: fact.instanceId ?? '',
    workflow: fact.workflow,
    last_at: fact.at,
    last_message: fact.message ?? '',
  };
  const key = JSON.stringify([row.code, row.instance, row.workflow]);
  if ((failures.get(key)?.last_at ?? Number.NEGATIVE_INFINITY) <= row.last_at) failures.set(key, row);
}
