/** Figures as somebody would work them out who kept every value: what the kept ones are compared with. */
import type { MetricFact } from '../../../src/domain/metric-fact.ts';
import type { Dimension, Measure } from '../../../src/domain/metric-measure.ts';

export interface Observation {
  readonly measure: Measure;
  readonly dimensions: Readonly<Partial<Record<Dimension, string>>>;
  readonly at: number;
  readonly value: number;
}

/** Of one fact; time on an instance comes in parts, by the points of a grid. */
export function observationsOf(fact: MetricFact, intervalMs: number): Observation[] {
  const { at, workflow, tenant } = fact;
  const common = { workflow, tenant };
  switch (fact.kind) {
    case 'submitted':
      return [{ measure: 'submitted', dimensions: common, at, value: 1 }];
    case 'started':
      return [
        {
          measure: 'queue_time',
          dimensions: { ...common, instance: fact.instanceId },
          at,
          value: fact.queueMs,
        },
      ];
    case 'attempt-ended': {
      const dimensions = { ...common, instance: fact.instanceId };
      const failed = { ...dimensions, status: fact.outcome, code: fact.code ?? '' };
      return [
        { measure: 'attempts', dimensions: failed, at, value: 1 },
        ...timeParts(at - fact.runMs, at, intervalMs).map(
          (part): Observation => ({ measure: 'gpu_time', dimensions, ...part }),
        ),
      ];
    }
    case 'ended': {
      const dimensions = { ...common, instance: fact.instanceId ?? '', status: fact.status };
      const ended: Observation = {
        measure: 'ended',
        dimensions: { ...dimensions, code: fact.code ?? '' },
        at,
        value: 1,
      };
      return fact.runMs === null
        ? [ended]
        : [ended, { measure: 'run_time', dimensions, at, value: fact.runMs }];
    }
  }
}

function timeParts(from: number, to: number, intervalMs: number): { at: number; value: number }[] {
  const parts = [];
  for (let at = from; at < to; ) {
    const next = Math.min(to, Math.floor(at / intervalMs + 1) * intervalMs);
    parts.push({ at, value: next - at });
    at = next;
  }
  return parts;
}
