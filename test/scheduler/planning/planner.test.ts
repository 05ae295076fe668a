import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Needs } from '../../../src/domain/capabilities.ts';
import { sameForAll } from '../../../src/domain/tenant-limits.ts';
import { type Candidate, isAble, isOpen, takesPart } from '../../../src/scheduler/planning/candidate.ts';
import { type Estimates, NO_ESTIMATES } from '../../../src/scheduler/planning/estimates.ts';
import { EVEN_SHARES } from '../../../src/scheduler/planning/fair-share.ts';
import { laneOf } from '../../../src/scheduler/planning/lane.ts';
import { PendingQueue } from '../../../src/scheduler/planning/pending-queue.ts';
import type { PlanState } from '../../../src/scheduler/planning/plan-state.ts';
import { plan } from '../../../src/scheduler/planning/planner.ts';
import type { PendingJob } from '../../../src/store/jobs.ts';
import { candidate as plain } from './candidate.ts';
import { pendingJob, servedBefore } from './pending-job.ts';
import { PlanWorld } from './plan-world.ts';

const NOW = 1_000_000;
const NEEDS = new Map<string, Needs>([
  ['any', { nodeTypes: [], models: [] }],
  ['needs-x', { nodeTypes: ['SaveImage'], models: ['x.safetensors'] }],
  ['needs-y', { nodeTypes: ['SaveImage'], models: ['y.safetensors'] }],
]);
const ALL = {
  nodeTypes: ['SaveImage'],
  models: ['x.safetensors', 'y.safetensors'].map((name) => ({ kind: 'checkpoints', name })),
};
const ONLY_X = { nodeTypes: ['SaveImage'], models: [{ kind: 'checkpoints', name: 'x.safetensors' }] };

function candidate(fields: Partial<Candidate>): Candidate {
  return plain({ inventory: ALL, ...fields });
}

function state(jobs: readonly PendingJob[], fields: Partial<PlanState>): PlanState {
  const pending = new PendingQueue();
  for (const job of jobs) pending.put(job, NOW);
  return {
    pending,
    needs: NEEDS,
    candidates: [],
    maxConcurrentJobs: null,
    retryBudgetPercent: 10,
    recent: { all: 0, retries: 0 },
    mostAtOnce: Number.POSITIVE_INFINITY,
    storageAway: false,
    cursor: 0,
    shares: EVEN_SHARES,
    ageingMs: Number.POSITIVE_INFINITY,
    limitsOf: sameForAll,
    running: new Map(),
    estimates: NO_ESTIMATES,
    ...fields,
  };
}

const jobs = fc.uniqueArray(
  fc
    .record({
      id: fc.integer({ min: 0, max: 99 }).map((n) => `j${n}`),
      priority: fc.integer({ min: 1, max: 10 }),
      needsKey: fc.constantFrom(...NEEDS.keys()),
      createdAt: fc.integer({ min: 0, max: 20 }),
      notBefore: fc.constantFrom(0, NOW + 1),
    })
    .map(pendingJob),
  { selector: (job) => job.id, maxLength: 40 },
);
const seldom = fc.nat(9).map((n) => n === 9);
const candidates = fc
  .array(
    fc
      .record({
        capacity: fc.constantFrom(1, 1, 2, 4),
        takenSlots: fc.uniqueArray(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
        foreignPrompts: fc.constantFrom(0, 0, 1),
        health: fc.constantFrom('HEALTHY', 'HEALTHY', 'HEALTHY', 'DEGRADED', 'UNHEALTHY', 'UNKNOWN'),
        answering: seldom.map((isAway) => !isAway),
        draining: seldom,
        breaker: fc.constantFrom(...Array(8).fill('CLOSED'), 'OPEN', 'HALF_OPEN'),
        stuck: seldom,
        isolated: seldom,
        resting: seldom,
        stale: seldom,
        slowStart: seldom,
        overdue: seldom,
        endsAt: fc.array(fc.option(fc.integer({ min: NOW, max: NOW + 40_000 })), {
          minLength: 5,
          maxLength: 5,
        }),
        inventory: fc.constantFrom(null, ALL, ONLY_X),
        loadedModels: fc.constantFrom([], ['x.safetensors'], ['x.safetensors', 'y.safetensors']),
      })
      .map(({ endsAt, ...fields }) =>
        candidate({
          ...(fields as Partial<Candidate>),
          id: '',
          endsAt: endsAt.slice(0, fields.takenSlots.length),
        }),
      ),
    { maxLength: 6 },
  )
  .map((list) => list.map((it, index) => ({ ...it, id: `i${index}` })));
const situation = fc.record({
  jobs,
  candidates,
  maxConcurrentJobs: fc.option(fc.integer({ min: 1, max: 12 })),
  cursor: fc.integer({ min: 0, max: 5 }),
  estimates: fc
    .record({ runMs: fc.constantFrom(null, 1000, 100_000), loadMs: fc.constantFrom(null, 10_000) })
    .map(({ runMs, loadMs }): Estimates => ({ runMs: () => runMs, loadMs: () => loadMs })),
});
type Situation = typeof situation extends fc.Arbitrary<infer T> ? T : never;

const runningIn = (fleet: readonly Candidate[]): number =>
  fleet.reduce((sum, { takenSlots }) => sum + takenSlots.length, 0);

/** Places for further jobs, when so many have just gone there. */
function placesLeft(it: Candidate, gone: number): number {
  if (!isOpen(it)) return 0;
  const free = Array.from({ length: it.capacity }, (_, slot) => slot).filter(
    (slot) => !it.takenSlots.includes(slot),
  );
  const left = Math.min(free.length, it.capacity - it.takenSlots.length) - gone;
  return Math.max(0, it.slowStart ? Math.min(left, 1 - it.takenSlots.length - gone) : left);
}

/** Places worth the wait: jobs of the class find their models there before it would have paid to load them. */
function placesSoon(needsKey: string, { candidates, estimates }: Situation): string[] {
  const { models } = NEEDS.get(needsKey) as Needs;
  const loadMs = estimates.loadMs({ workflow: '', needsKey });
  if (loadMs === null || models.length === 0) return [];
  return candidates
    .filter((it) => takesPart(it) && !it.slowStart && !it.overdue && it.foreignPrompts === 0)
    .filter(({ loadedModels }) => models.every((model) => loadedModels.includes(model)))
    .flatMap(({ id, endsAt }) =>
      endsAt.flatMap((at, n) => (at !== null && at <= NOW + 2 * loadMs ? [`${id}/${n}`] : [])),
    );
}

describe('the planner', () => {
  it('never exceeds a capacity or the global limit, nor uses an instance that is down, draining, put aside, stuck, isolated, resting, stale or unable, nor one on trial for two', () => {
    fc.assert(
      fc.property(situation, (it) => {
        const planned = plan(state(it.jobs, it), NOW);
        const running = runningIn(it.candidates);
        const room = it.maxConcurrentJobs === null ? Infinity : Math.max(0, it.maxConcurrentJobs - running);
        expect(planned.assignments.length).toBeLessThanOrEqual(room);
        const places = new Set(planned.assignments.map((a) => `${a.instanceId}/${a.slot}`));
        expect(places.size).toBe(planned.assignments.length);
        expect(new Set(planned.assignments.map((a) => a.jobId)).size).toBe(planned.assignments.length);
        for (const candidate of it.candidates) {
          const mine = planned.assignments.filter((a) => a.instanceId === candidate.id);
          if (mine.length === 0) continue;
          expect(candidate).toMatchObject({ answering: true, breaker: 'CLOSED', draining: false });
          expect(candidate).toMatchObject({ stuck: false, isolated: false, resting: false, stale: false });
          expect(['HEALTHY', 'DEGRADED']).toContain(candidate.health);
          expect(mine.length + candidate.takenSlots.length).toBeLessThanOrEqual(
            candidate.slowStart ? 1 : candidate.capacity,
          );
          for (const { slot, jobId } of mine) {
            expect(slot).toBeLessThan(candidate.capacity);
            expect(candidate.takenSlots).not.toContain(slot);
            const needsKey = it.jobs.find((job) => job.id === jobId)?.needsKey ?? '';
            expect(isAble(candidate, NEEDS.get(needsKey) as Needs)).toBe(true);
          }
        }
      }),
    );
  });

  it('serves in order whoever finds an able place, where no models are in memory', () => {
    fc.assert(
      fc.property(situation, (it) => {
        const fleet = it.candidates.map((one) => ({ ...one, capacity: 1, loadedModels: [] }));
        const planned = plan(state(it.jobs, { ...it, candidates: fleet, estimates: NO_ESTIMATES }), NOW);
        let room = (it.maxConcurrentJobs ?? Infinity) - runningIn(fleet);
        const gone = new Map<string, number>();
        for (const job of it.jobs.filter((j) => j.notBefore <= NOW).sort(servedBefore)) {
          const given = planned.assignments.find((a) => a.jobId === job.id);
          const needs = NEEDS.get(job.needsKey) as Needs;
          const places = fleet.filter(
            (one) => placesLeft(one, gone.get(one.id) ?? 0) > 0 && isAble(one, needs),
          );
          expect(given !== undefined).toBe(places.length > 0 && room > 0);
          if (!given) continue;
          room--;
          gone.set(given.instanceId, (gone.get(given.instanceId) ?? 0) + 1);
        }
      }),
    );
  });

  it('leaves a place empty only before jobs that each wait for another one, where their models are', () => {
    fc.assert(
      fc.property(situation, (it) => {
        const jobs = it.jobs.filter(({ needsKey }) => needsKey !== 'any').slice(0, 8);
        const { assignments } = plan(state(jobs, it), NOW);
        if (assignments.length + runningIn(it.candidates) >= (it.maxConcurrentJobs ?? Infinity)) return;
        const gone = new Set(assignments.map(({ jobId }) => jobId));
        const open = it.candidates.filter(
          (one) => placesLeft(one, assignments.filter(({ instanceId }) => instanceId === one.id).length) > 0,
        );
        const waiting = jobs
          .filter((job) => job.notBefore <= NOW && !gone.has(job.id))
          .filter(({ needsKey }) => open.some((one) => isAble(one, NEEDS.get(needsKey) as Needs)));
        const soon = waiting.map(({ needsKey }) => placesSoon(needsKey, it));
        for (const places of soon) expect(places).not.toEqual([]);
        expect(waiting.length).toBeLessThanOrEqual(new Set(soon.flat()).size);
      }),
      { numRuns: 1000 },
    );
  });

  it('never assigns a job that backs off, and gives the same plan for the same state', () => {
    fc.assert(
      fc.property(situation, (it) => {
        const planned = plan(state(it.jobs, it), NOW);
        for (const { jobId } of planned.assignments) {
          expect(it.jobs.find((job) => job.id === jobId)?.notBefore).toBeLessThanOrEqual(NOW);
        }
        const again = plan(state([...it.jobs].reverse(), it), NOW);
        expect(again.assignments).toEqual(planned.assignments);
        expect(new Map(again.blocked)).toEqual(new Map(planned.blocked));
      }),
    );
  });

  it('serves priority 10 first and equal priorities by arrival', () => {
    const waiting = [
      pendingJob({ id: 'late', createdAt: 3 }),
      pendingJob({ id: 'low', priority: 1, createdAt: 1 }),
      pendingJob({ id: 'early', createdAt: 2 }),
      pendingJob({ id: 'top', priority: 10, createdAt: 9 }),
    ];
    const wide = candidate({ id: 'a', capacity: 4 });
    const order = plan(state(waiting, { candidates: [wide] }), NOW).assignments.map((a) => a.jobId);
    expect(order).toEqual(['top', 'early', 'late', 'low']);
  });

  it('gives so many jobs a place at once and no more, and goes on where it was', () => {
    const fleet = [candidate({ id: 'wide', capacity: 5 })];
    const waiting = ['1', '2', '3', '4', '5'].map((id) => pendingJob({ id, createdAt: Number(id) }));
    const first = plan(state(waiting, { candidates: fleet, mostAtOnce: 3 }), NOW).assignments;
    expect(first.map(({ jobId }) => jobId)).toEqual(['1', '2', '3']);
    const taken = fleet.map((it) => ({ ...it, takenSlots: first.map(({ slot }) => slot) }));
    const next = plan(state(waiting.slice(3), { candidates: taken, mostAtOnce: 3 }), NOW).assignments;
    expect(next.map(({ jobId }) => jobId)).toEqual(['4', '5']);
  });

  it('takes the least loaded instance and lets equals take turns over several plans', () => {
    const fleet = ['a', 'b', 'c'].map((id) => candidate({ id, capacity: 2 }));
    const waiting = ['1', '2', '3', '4'].map((id) => pendingJob({ id, createdAt: Number(id) }));
    const first = plan(state(waiting, { candidates: fleet }), NOW);
    expect(first.assignments.map((a) => a.instanceId)).toEqual(['a', 'b', 'c', 'a']);
    const second = plan(state(waiting.slice(0, 1), { candidates: fleet, cursor: first.cursor }), NOW);
    expect(second.assignments.map((a) => a.instanceId)).toEqual(['b']);
    const busy = fleet.map((it) => (it.id === 'b' ? it : { ...it, takenSlots: [0] }));
    expect(plan(state(waiting.slice(0, 1), { candidates: busy, cursor: 2 }), NOW).assignments).toMatchObject([
      { instanceId: 'b', slot: 0 },
    ]);
  });

  it('counts prompts of others as load', () => {
    const fleet = [candidate({ id: 'shared', foreignPrompts: 1 }), candidate({ id: 'own' })];
    const one = plan(state([pendingJob({ id: 'job' })], { candidates: fleet }), NOW);
    expect(one.assignments).toMatchObject([{ instanceId: 'own' }]);
  });

  it('lets a job with other needs pass one that nobody can run', () => {
    const waiting = [
      pendingJob({ id: 'stuck', priority: 10, needsKey: 'needs-y' }),
      pendingJob({ id: 'can-go', priority: 1, needsKey: 'needs-x' }),
    ];
    const fleet = [candidate({ id: 'a', inventory: ONLY_X })];
    const planned = plan(state(waiting, { candidates: fleet }), NOW);
    expect(planned.assignments).toMatchObject([{ jobId: 'can-go' }]);
    expect(planned.blocked.get('needs-y')).toBe('no healthy instance has model y.safetensors (a lacks it)');
  });

  it('says nothing of a class that merely waits its turn', () => {
    const busy = candidate({ id: 'a', takenSlots: [0] });
    const planned = plan(state([pendingJob({ id: 'j' })], { candidates: [busy] }), NOW);
    expect(planned.assignments).toEqual([]);
    expect(planned.blocked.get('any')).toBeNull();
  });

  it('starts nothing that takes files while storage is away, says so, and lets the rest of its class pass', () => {
    const files = [1, 2].map((n) => pendingJob({ id: `files${n}`, fileCount: n, priority: 10 }));
    const fleet = [candidate({ id: 'a', capacity: 4 })];
    const away = { candidates: fleet, storageAway: true };
    const held = plan(state(files, away), NOW);
    expect(held.assignments).toEqual([]);
    expect(held.blocked.get('any')).toBe('the storage of the gateway does not answer');
    const mixed = plan(state([...files, pendingJob({ id: 'none' })], away), NOW);
    expect(mixed.assignments.map(({ jobId }) => jobId)).toEqual(['none']);
    const there = plan(state(files, { candidates: fleet }), NOW);
    expect(there.assignments.map(({ jobId }) => jobId)).toEqual(['files1', 'files2']);
  });

  it('plans among 100,000 waiting jobs without looking at each of them', () => {
    const queue = new PendingQueue();
    const keys = [...NEEDS.keys()];
    const looked = new Set<number>();
    for (let n = 0; n < 100_000; n++) {
      const needsKey = keys[n % 3] as string;
      const fields = { priority: 1 + (n % 10), tenant: `t${n % 7}`, needsKey };
      const job = pendingJob({ id: `j${n}`, ...fields, crashes: n % 2, chargedAttempts: n % 5 });
      const look = (): number => {
        looked.add(n);
        return n;
      };
      queue.put(Object.defineProperty(job, 'createdAt', { get: look }), NOW);
    }
    looked.clear();
    const fleet = Array.from({ length: 50 }, (_, n) => candidate({ id: `i${n}` }));
    const planned = plan({ ...state([], { candidates: fleet }), pending: queue }, NOW);
    expect(planned.assignments).toHaveLength(50);
    // each job that goes, the next one of its lane, and at most one for each lane that must wait
    expect(looked.size).toBeLessThanOrEqual(2 * 50 + queue.lanes().length);
  });
});

describe('a repeated attempt', () => {
  const failed = pendingJob({ id: 'j', attemptCount: 1, chargedAttempts: 1, lastInstanceId: 'a' });

  it('goes anywhere but where it failed, however busy, and there only when nothing else is free', () => {
    const a = candidate({ id: 'a', capacity: 4 });
    const b = candidate({ id: 'b', capacity: 4, takenSlots: [0, 1], foreignPrompts: 1 });
    const go = (fleet: Candidate[]) => plan(state([failed], { candidates: fleet }), NOW).assignments;
    expect(go([a, b])).toMatchObject([{ instanceId: 'b', isRetry: true }]);
    expect(go([a, { ...b, takenSlots: [0, 1, 2, 3] }])).toMatchObject([{ instanceId: 'a' }]);
    expect(go([a, { ...b, stuck: true }])).toMatchObject([{ instanceId: 'a' }]);
    expect(go([a])).toMatchObject([{ instanceId: 'a' }]);
  });

  it('waits a while for another instance to be free, so that one that fails at once sees it once (F18)', () => {
    const a = candidate({ id: 'a' });
    const busy = candidate({ id: 'b', takenSlots: [0] });
    const go = (sinceMs: number, fleet: Candidate[]) =>
      plan(state([{ ...failed, notBefore: NOW - sinceMs }], { candidates: fleet }), NOW).assignments;
    expect(go(0, [a, busy])).toEqual([]);
    expect(go(29_999, [a, busy])).toEqual([]);
    expect(go(30_000, [a, busy])).toMatchObject([{ instanceId: 'a' }]);
    expect(go(0, [a, { ...busy, takenSlots: [] }])).toMatchObject([{ instanceId: 'b' }]);
    expect(go(0, [a, { ...busy, breaker: 'OPEN' }])).toMatchObject([{ instanceId: 'a' }]);
  });

  it.each([
    ['has not been heard of for a moment', { stale: true }],
    ['has missed a probe', { answering: false, health: 'DEGRADED' }],
    ['came back just now', { resting: true }],
    ['runs a job that may take it down', { isolated: true, takenSlots: [0] }],
  ] as const)('waits for the other instance also when that %s', (_why, fields) => {
    const a = candidate({ id: 'a' });
    const due = { ...failed, notBefore: NOW };
    const go = (b: Partial<Candidate>) =>
      plan(state([due], { candidates: [a, candidate({ id: 'b', ...b })] }), NOW).assignments;
    expect(go(fields)).toEqual([]);
    expect(go({ ...fields, answering: false, health: 'UNHEALTHY' })).toMatchObject([{ instanceId: 'a' }]);
  });

  it('holds up no other while it waits for another instance', () => {
    const fleet = [candidate({ id: 'a' }), candidate({ id: 'b', takenSlots: [0] })];
    const due = { notBefore: NOW, createdAt: 1, attemptCount: 1 };
    const waits = pendingJob({ id: 'waits', ...due, chargedAttempts: 1, lastInstanceId: 'a' });
    const elsewhere = pendingJob({ id: 'elsewhere', ...due, chargedAttempts: 1, lastInstanceId: 'b' });
    const forgotten = pendingJob({ id: 'forgotten', ...due, lastInstanceId: 'a' });
    const suspect = pendingJob({ id: 'suspect', ...due, crashes: 1, lastInstanceId: 'a' });
    const first = pendingJob({ id: 'first', createdAt: 2 });
    for (const [job, ...behind] of [
      [waits, elsewhere],
      [waits, first],
      [suspect, first],
      [forgotten],
    ] as const) {
      const { assignments } = plan(state([job, ...behind], { candidates: fleet }), NOW);
      expect(assignments.map((a) => a.jobId)).toEqual([behind[0]?.id ?? 'forgotten']);
    }
  });

  it('prefers more memory among equals, as a first attempt does not', () => {
    const small = candidate({ id: 'small', vramBytes: 8e9 });
    const large = candidate({ id: 'large', vramBytes: 24e9 });
    const unknown = candidate({ id: 'unknown' });
    const go = (job: PendingJob) =>
      plan(state([job], { candidates: [small, unknown, large] }), NOW).assignments[0]?.instanceId;
    expect(go(failed)).toBe('large');
    expect(go(pendingJob({ id: 'first' }))).toBe('small');
  });

  it('waits above the budget without holding up anything, and says why when all of its class waits', () => {
    const retries = Array.from({ length: 5 }, (_, n) =>
      pendingJob({ id: `r${n}`, createdAt: n, needsKey: 'needs-x', chargedAttempts: 1, attemptCount: 1 }),
    );
    const first = pendingJob({ id: 'first', createdAt: 99, needsKey: 'needs-x' });
    const fleet = Array.from({ length: 9 }, (_, n) => candidate({ id: `i${n}` }));
    const planned = plan(state([...retries, first], { candidates: fleet }), NOW);
    expect(planned.assignments.map((a) => a.jobId)).toEqual(['r0', 'r1', 'r2', 'first']);
    const reason = 'much fails at the moment, so repeated attempts are limited to 10 % of all';
    expect(planned.blocked.get('needs-x')).toBe(reason);
    // with a first attempt that merely waits its turn the class is not blocked, its repeated attempts are
    const busy = fleet.map((it) => ({ ...it, takenSlots: [0] }));
    const waiting = plan(
      state([...retries, first], { candidates: busy, recent: { all: 9, retries: 3 } }),
      NOW,
    );
    expect(waiting.blocked.get('needs-x')).toBeNull();
    expect(waiting.whyHeld(laneOf(retries[0] as PendingJob))).toBe(reason);
    expect(waiting.whyHeld(laneOf(first))).toBeNull();
  });

  it('costs nothing of the budget when an instance forgot the job', () => {
    const lost = Array.from({ length: 9 }, (_, n) => pendingJob({ id: `l${n}`, attemptCount: 2 }));
    const fleet = [candidate({ id: 'a', capacity: 9 })];
    const planned = plan(state(lost, { candidates: fleet, recent: { all: 3, retries: 3 } }), NOW);
    expect(planned.assignments).toHaveLength(9);
    expect(planned.assignments.some((a) => a.isRetry)).toBe(false);
  });
});

describe('a suspect, whose instance went down with it (F41)', () => {
  const suspect = pendingJob({ id: 's', createdAt: 1, attemptCount: 1, crashes: 1, lastInstanceId: 'a' });
  const other = (n: number) => pendingJob({ id: `o${n}`, createdAt: 10 + n });

  it('gets an instance without any other prompt, and nothing is put beside it', () => {
    const fleet = [
      candidate({ id: 'a', capacity: 2 }),
      candidate({ id: 'shared', capacity: 2, foreignPrompts: 1 }),
      candidate({ id: 'half', capacity: 2, takenSlots: [0] }),
      candidate({ id: 'empty', capacity: 2 }),
    ];
    const waiting = [suspect, ...Array.from({ length: 9 }, (_, n) => other(n))];
    const { assignments } = plan(state(waiting, { candidates: fleet }), NOW);
    expect(assignments[0]).toMatchObject({ jobId: 's', instanceId: 'empty' });
    expect(assignments.filter((a) => a.instanceId === 'empty')).toHaveLength(1);
    expect(assignments).toHaveLength(6);
  });

  it('is kept an instance free for, so that the others do not fill it for ever', () => {
    const fleet = [candidate({ id: 'busy', capacity: 2, takenSlots: [0] })];
    const planned = plan(state([suspect, other(1)], { candidates: fleet }), NOW);
    expect(planned.assignments).toEqual([]);
    expect(planned.blocked.get('any')).toBeNull();
    expect(planned.whyHeld(laneOf(suspect))).toBe(
      'an instance went down with the job, so it waits for one without any other prompt',
    );
    expect(planned.whyHeld(laneOf(other(1)))).toBeNull();
    const roomy = [...fleet, candidate({ id: 'roomy', capacity: 3, takenSlots: [0, 1] })];
    const beside = plan(state([suspect, other(1), other(2)], { candidates: roomy }), NOW);
    expect(beside.assignments).toMatchObject([{ jobId: 'o1', instanceId: 'roomy' }]);
  });

  it('holds up nobody while a person uses the only instance', () => {
    const fleet = [candidate({ id: 'shared', capacity: 2, foreignPrompts: 1 })];
    const planned = plan(state([suspect, other(1)], { candidates: fleet }), NOW);
    expect(planned.assignments).toMatchObject([{ jobId: 'o1' }]);
  });
});

describe('the planner, plan after plan', () => {
  const worldJobs = fc.uniqueArray(
    fc
      .record({
        id: fc.integer({ min: 0, max: 199 }).map((n) => `j${n}`),
        tenant: fc.constantFrom('a', 'b', 'c'),
        priority: fc.integer({ min: 1, max: 3 }),
        needsKey: fc.constantFrom('x', 'y'),
        createdAt: fc.integer({ min: 0, max: 20 }),
        attemptCount: fc.constantFrom(0, 1),
        chargedAttempts: fc.constantFrom(0, 0, 0, 1),
        crashes: fc.constantFrom(0, 0, 0, 1),
        lastInstanceId: fc.constantFrom('i0', 'i1'),
      })
      .map(pendingJob),
    { selector: (job) => job.id, maxLength: 60 },
  );
  const fleets = fc.array(fc.record({ capacity: fc.integer({ min: 1, max: 3 }) }), {
    minLength: 1,
    maxLength: 4,
  });

  it('dispatches every job in the end: tenants, repeated attempts and suspects alike (F41, F45)', () => {
    fc.assert(
      fc.property(worldJobs, fleets, fc.array(fc.nat(), { minLength: 1 }), (jobs, fleet, luck) => {
        const world = new PlanWorld(fleet);
        for (const job of jobs) world.put(job);
        for (let round = 0; world.queue.size > 0; round++) {
          // places are held against what must never happen as each plan is made
          world.plan();
          const pick = luck[round % luck.length] ?? 0;
          const over = world.running[pick % Math.max(1, world.running.length)];
          world.finish((placed) => placed === over);
          world.now += 10_000;
          expect(round).toBeLessThan(jobs.length * 40 + 40);
        }
        expect(new Set(world.dispatched.map(({ job }) => job.id)).size).toBe(jobs.length);
        expect(world.dispatched).toHaveLength(jobs.length);
      }),
    );
  });
});
