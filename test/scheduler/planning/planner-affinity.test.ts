import { describe, expect, it } from 'vitest';
import type { Needs } from '../../../src/domain/capabilities.ts';
import { NO_LIMITS } from '../../../src/domain/tenant-limits.ts';
import { laneOf } from '../../../src/scheduler/planning/lane.ts';
import type { PlanState } from '../../../src/scheduler/planning/plan-state.ts';
import { candidate } from './candidate.ts';
import { pendingJob } from './pending-job.ts';
import { PlanWorld } from './plan-world.ts';

const NEEDS = new Map<string, Needs>(
  [['x'], ['y'], ['z'], ['x', 'lora'], []].map((models) => [
    models.join('+') || 'none',
    { nodeTypes: [], models },
  ]),
);
const holding = (...loadedModels: string[]) => ({ loadedModels });
const estimates = { runMs: () => 1000, loadMs: () => 10_000 };
const soon = (endsAt: number) => ({ ...holding('x'), endsAt: [endsAt], capacity: 1, takenSlots: [0] });

function world(
  instances: ConstructorParameters<typeof PlanWorld>[0],
  rules: Partial<PlanState> = {},
): PlanWorld {
  return new PlanWorld(instances, () => 0, { needs: NEEDS, ...rules });
}

/** Jobs that need these, in this order. */
function put(it: PlanWorld, ...needsKeys: string[]): void {
  for (const [n, needsKey] of needsKeys.entries()) {
    it.put(pendingJob({ id: `${n}-${needsKey}`, needsKey, workflow: needsKey, createdAt: it.now + n }));
  }
}

const went = (placed: ReturnType<PlanWorld['plan']>) =>
  placed.map(({ job, instanceId }) => `${job.id} ${instanceId}`);

describe('a job', () => {
  it('goes where all its models are in memory', () => {
    const it = world([holding('y'), holding('x'), holding('x', 'lora')]);
    put(it, 'x+lora', 'x', 'y');
    expect(went(it.plan())).toEqual(['0-x+lora i2', '1-x i1', '2-y i0']);
  });

  it('overtakes those whose models are not in memory, K times and no more', () => {
    const it = world([holding('x')]);
    put(it, 'y', ...Array.from({ length: 30 }, () => 'x'));
    for (let n = 0; n < 12; n++) {
      it.plan();
      it.finish(() => true);
    }
    const order = it.dispatched.map(({ job }) => job.needsKey);
    expect(order.indexOf('y')).toBe(8);
  });

  it('that names no models, or is the only one, waits for nothing', () => {
    const it = world([holding('x')]);
    put(it, 'none');
    expect(went(it.plan())).toEqual(['0-none i0']);
  });

  it('is not looked for further than W = 2K', () => {
    const far = (distance: number): string[] => {
      const it = world([holding('x')]);
      put(it, ...Array.from({ length: distance }, () => 'y'), 'x');
      return went(it.plan());
    };
    expect(far(15)).toEqual(['15-x i0']);
    expect(far(16)).toEqual(['0-y i0']);
  });

  it('loads its models where nothing is in memory, else what the fewest wait for', () => {
    const it = world([holding('x'), holding('y'), {}]);
    put(it, 'z');
    expect(went(it.plan())).toEqual(['0-z i2']);
    const full = world([{ ...holding('x'), isolated: true }, holding('x', 'lora'), holding('y')]);
    put(full, 'z', 'z');
    full.put(pendingJob({ id: 'held', needsKey: 'x', fileCount: 1 }));
    full.rules = { ...full.rules, storageAway: true };
    expect(went(full.plan())[0]).toBe('0-z i2');
  });

  it('waits for a place that has its models, when that is free before a load is worth it, and lets others pass', () => {
    const at = (endsAt: number): string[] => {
      const it = world([soon(endsAt), {}], { estimates });
      // the place is taken: by a job that nobody put
      it.running = [{ job: pendingJob({ id: 'r' }), instanceId: 'i0', slot: 0, at: 0 }];
      put(it, 'x', 'y');
      return went(it.plan());
    };
    expect(at(20_000)).toEqual(['1-y i1']);
    expect(at(20_001)).toEqual(['0-x i1']);
    expect(at(-1)).toEqual(['0-x i1']);
  });

  it.each([
    ['when its run takes longer than it should', { overdue: true }],
    ['behind prompts of others', { foreignPrompts: 1 }],
  ])('waits for no such place %s, as nobody can say when it is free', (_when, fields) => {
    const it = world([{ ...soon(5000), ...fields }, {}], { estimates });
    it.running = [{ job: pendingJob({ id: 'r' }), instanceId: 'i0', slot: 0, at: 0 }];
    put(it, 'x');
    expect(went(it.plan())).toEqual(['0-x i1']);
  });

  it('leaves no instance of a large fleet idle, where as many come free soon as are looked at', () => {
    const busy = Array.from({ length: 600 }, () => soon(5000));
    const it = world([...busy, {}], { estimates });
    it.running = busy.map((_, n) => ({
      job: pendingJob({ id: `r${n}` }),
      instanceId: `i${n}`,
      slot: 0,
      at: 0,
    }));
    put(it, ...Array<'x'>(700).fill('x'));
    expect(went(it.plan())).toEqual(['511-x i600']);
  });

  it('is the only one that waits for such a place', () => {
    const it = world([soon(5000), {}], { estimates });
    it.running = [{ job: pendingJob({ id: 'r' }), instanceId: 'i0', slot: 0, at: 0 }];
    put(it, 'x', 'x');
    expect(went(it.plan())).toEqual(['1-x i1']);
  });
});

it('looks at few of the places that come free soon, however many jobs wait for them and others go', () => {
  let looked = 0;
  const busy = Array.from({ length: 300 }, (_, n) =>
    candidate({
      ...{ id: `busy${n}`, takenSlots: [0], endsAt: [1 + n] },
      // each look asks for the second model
      loadedModels: Object.assign(['x', 'lora'], {
        includes: (model: string) => ++looked > 0 && model !== 'y',
      }),
    }),
  );
  const it = world([...busy, ...Array.from({ length: 20 }, (_, n) => ({ id: `free${n}` }))], { estimates });
  it.running = busy.map(({ id }) => ({ job: pendingJob({ id }), instanceId: id, slot: 0, at: 0 }));
  put(it, ...Array.from({ length: 400 }, () => 'x+lora'));
  const placed = it.plan();
  expect(placed.map(({ job }) => job.id)).toEqual(placed.map((_, n) => `${300 + n}-x+lora`));
  expect(placed).toHaveLength(20);
  expect(looked).toBeLessThanOrEqual(2 * busy.length);
});

describe('an instance', () => {
  it('of which nothing was heard for a while gets no job', () => {
    const it = world([{ stale: true }]);
    put(it, 'none');
    expect(it.plan()).toEqual([]);
  });

  describe('that was put aside until lately', () => {
    const trial = { slowStart: true, capacity: 2 };
    const lasting = (runMs: number | null) => ({ estimates: { runMs: () => runMs, loadMs: () => null } });

    it('gets one job of ours at a time, whoever else uses it', () => {
      const it = world([{ ...trial, foreignPrompts: 1 }]);
      put(it, 'none', 'none');
      expect(it.plan()).toHaveLength(1);
      expect(it.plan()).toEqual([]);
    });

    it.each([60_000, null])('gets one that takes %s ms in its turn', (runMs) => {
      const it = world([trial, { capacity: 4 }], lasting(runMs));
      put(it, 'none', 'none');
      expect(went(it.plan())).toEqual(['0-none i0', '1-none i1']);
    });

    it('gets no long one while another place is free, even where its models are', () => {
      const it = world([{ ...trial, ...holding('x') }, {}], lasting(60_001));
      put(it, 'x');
      expect(went(it.plan())).toEqual(['0-x i1']);
    });

    it('gets a long one when all others are busy', () => {
      const it = world([trial, {}], lasting(60_001));
      put(it, 'none', 'none', 'none');
      expect(went(it.plan())).toEqual(['0-none i1', '1-none i0']);
    });

    it('is not waited for', () => {
      const it = world([{ ...trial, ...soon(1000) }, {}], { estimates });
      it.running = [{ job: pendingJob({ id: 'r' }), instanceId: 'i0', slot: 0, at: 0 }];
      put(it, 'x');
      expect(went(it.plan())).toEqual(['0-x i1']);
    });
  });
});

describe('a tenant', () => {
  it('has no more at work than it may, and its jobs say so', () => {
    const limitsOf = (tenant: string) => ({ ...NO_LIMITS, maxRunning: tenant === 'few' ? 1 : null });
    const it = world([{ capacity: 4 }], { limitsOf });
    for (const [n, tenant] of ['few', 'few', 'few', 'many', 'many'].entries()) {
      it.put(pendingJob({ id: `${tenant}${n}`, tenant, needsKey: 'none', createdAt: n }));
    }
    expect(it.plan().map(({ job }) => job.id)).toEqual(['few0', 'many3', 'many4']);
    expect(it.whyHeld(laneOf(pendingJob({ id: 'any', tenant: 'few', needsKey: 'none' })))).toBe(
      'as many jobs of its owner run at once as may (1)',
    );
  });
});
