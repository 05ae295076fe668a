import { describe, expect, it } from 'vitest';
import { NO_LIMITS } from '../../../src/domain/tenant-limits.ts';
import { laneOf } from '../../../src/scheduler/planning/lane.ts';
import type { PlanState } from '../../../src/scheduler/planning/plan-state.ts';
import { Reasons } from '../../../src/scheduler/planning/reasons.ts';
import { candidate } from './candidate.ts';
import { pendingJob } from './pending-job.ts';

const NEEDS = { nodeTypes: [], models: [] };
const few = laneOf(pendingJob({ id: 'few', tenant: 'few' }));
const fewer = laneOf(pendingJob({ id: 'fewer', tenant: 'fewer' }));

function reasons(differences: Partial<PlanState> = {}): Reasons {
  const caps: Record<string, number> = { few: 2, fewer: 1 };
  const state = {
    candidates: [candidate({})],
    storageAway: false,
    retryBudgetPercent: 10,
    limitsOf: (tenant: string) => ({ ...NO_LIMITS, maxRunning: caps[tenant] ?? null }),
    ...differences,
  } as unknown as PlanState;
  const recent = { all: 0, retries: 0 } as never;
  const running = new Map(Object.entries(caps));
  return new Reasons(state, { recent, running }, () => NEEDS);
}

describe('what a class waits for', () => {
  it('says nothing of what its tenants may, though each of its jobs knows', () => {
    const capped = reasons();
    expect(capped.ofClass(few.needsKey, [few, fewer])).toBeNull();
    expect(capped.ofLane(few)).toBe('as many jobs of its owner run at once as may (2)');
    expect(capped.holding(fewer)).toBe('as many jobs of its owner run at once as may (1)');
  });

  it('is told to capped tenants as well', () => {
    const away = reasons({ storageAway: true });
    const [one, other] = [few, fewer].map((lane) => ({ ...lane, takesFiles: true }));
    if (!one || !other) throw new Error('two lanes');
    expect(away.ofClass(one.needsKey, [one, other])).toBe('the storage of the gateway does not answer');
  });
});
