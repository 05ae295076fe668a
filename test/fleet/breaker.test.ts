import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BreakerEvent,
  type BreakerRecord,
  type BreakerTuning,
  initialBreaker,
  isOnTrial,
  isTested,
  LONGEST_OPEN_MS,
  nextBreaker,
  remarkOn,
} from '../../src/fleet/breaker.ts';

const tuning: BreakerTuning = { threshold: 3, openMs: 30_000 };
const fault: BreakerEvent = { kind: 'fault', reason: 'it crashed' };
const passed: BreakerEvent = { kind: 'canary-passed' };
const failed: BreakerEvent = { kind: 'canary-failed', reason: 'no end in time' };
const quick = (jobId: string): BreakerEvent => ({ kind: 'quick-failure', jobId, reason: 'ValueError' });

interface Run {
  readonly now?: number;
  readonly spare?: boolean;
  readonly random?: number;
}

function told(record: BreakerRecord, events: readonly BreakerEvent[], run: Run = {}): BreakerRecord {
  const moment = { now: run.now ?? 0, spare: () => run.spare ?? true, random: () => run.random ?? 0.5 };
  return events.reduce((state, event) => nextBreaker(state, event, moment, tuning), record);
}

const fresh = initialBreaker('CLOSED', 0);
const stateAfter = (events: readonly BreakerEvent[], run?: Run): string => told(fresh, events, run).state;

describe('the breaker', () => {
  it('puts an instance aside at its first fault and takes it back once a canary has passed', () => {
    expect(stateAfter([fault])).toBe('HALF_OPEN');
    expect(stateAfter([fault, passed])).toBe('CLOSED');
    expect(stateAfter([fault, failed])).toBe('OPEN');
  });

  it('tries an instance that an earlier process had put aside before it gives it jobs', () => {
    expect(initialBreaker('OPEN', 0).state).toBe('HALF_OPEN');
    expect(initialBreaker('HALF_OPEN', 0).state).toBe('HALF_OPEN');
    expect(initialBreaker('CLOSED', 0).state).toBe('CLOSED');
  });

  it('puts aside for a while what passes every canary and kills every job', () => {
    const machine = told(fresh, [fault, passed, fault, passed, fault]);
    expect(machine.state).toBe('OPEN');
    // it comes back from each crash: that proves nothing
    expect(told(machine, [{ kind: 'comeback' }, passed]).state).toBe('OPEN');
    expect(told(machine, [{ kind: 'time' }], { now: 40_000 }).state).toBe('HALF_OPEN');
  });

  it('forgets strikes at the first success', () => {
    expect(stateAfter([fault, passed, fault, passed, { kind: 'success' }, fault])).toBe('HALF_OPEN');
  });

  it('tries a broken instance at once when it has been restarted', () => {
    expect(stateAfter([fault, failed, { kind: 'comeback' }])).toBe('HALF_OPEN');
    expect(stateAfter([fault, failed, { kind: 'comeback' }, passed])).toBe('CLOSED');
  });

  it('lets a canary decide after two quick failures of different jobs in a row (F18)', () => {
    expect(stateAfter([quick('a')])).toBe('CLOSED');
    expect(stateAfter([quick('a'), quick('a')])).toBe('CLOSED');
    expect(stateAfter([quick('a'), { kind: 'success' }, quick('b')])).toBe('CLOSED');
    expect(stateAfter([quick('a'), quick('b')])).toBe('HALF_OPEN');
  });

  it('keeps an instance that cannot be spared, and asks a canary all the same', () => {
    const doubted = told(fresh, [quick('a'), quick('b')], { spare: false });
    expect(doubted.state).toBe('CLOSED');
    expect(isTested(doubted)).toBe(true);
    expect(remarkOn(doubted)).toMatch(/^still used, as too many are put aside: two jobs in a row failed/);
    expect(told(doubted, [passed])).toMatchObject({ state: 'CLOSED', doubt: null });
    // that is not what jobs say any more
    expect(told(doubted, [failed], { spare: false })).toMatchObject({
      state: 'OPEN',
      soft: false,
      doubt: null,
    });
  });

  it('asks nobody before it puts aside what failed by itself', () => {
    expect(stateAfter([fault], { spare: false })).toBe('HALF_OPEN');
    expect(stateAfter([fault, failed], { spare: false })).toBe('OPEN');
  });

  it('does not let bad jobs put the whole fleet aside', () => {
    const pair = (name: string): BreakerEvent[] => [quick(`${name}1`), quick(`${name}2`)];
    const thrice = [...pair('a'), passed, ...pair('b'), passed, ...pair('c')];
    expect(told(fresh, thrice, { spare: true })).toMatchObject({ state: 'OPEN', soft: true });
    expect(stateAfter(thrice, { spare: false })).toBe('CLOSED');
  });

  it('is used again when the fleet needs it, unless it is broken', () => {
    const needed: BreakerEvent = { kind: 'needed' };
    const soft = told(fresh, [quick('a'), quick('b')]);
    expect(told(soft, [needed])).toMatchObject({ state: 'CLOSED', soft: false });
    expect(isTested(told(soft, [needed]))).toBe(true);
    const byStrikes = told(fresh, [fault, passed, fault, passed, fault]);
    expect(told(byStrikes, [needed])).toMatchObject({ state: 'CLOSED', openUntil: null });
    expect(stateAfter([fault, needed])).toBe('HALF_OPEN');
    expect(stateAfter([fault, failed, needed])).toBe('OPEN');
  });

  it('takes an instance back with care until three jobs have succeeded on it', () => {
    const success: BreakerEvent = { kind: 'success' };
    const back = told(fresh, [fault, passed]);
    const trials = [back, told(back, [success]), told(back, [success, success, success, success])];
    expect(trials.map(({ trial }) => trial)).toEqual([3, 2, 0]);
    expect(told(back, [success, fault, passed]).trial).toBe(3);
    // not at its first start, and not when it was never put aside
    expect([fresh.trial, told(fresh, [success, passed]).trial]).toEqual([0, 0]);
    expect(told(fresh, [quick('a'), quick('b'), passed], { spare: false }).trial).toBe(0);
  });

  it('is used like any other ten minutes after it was taken back, though no job has succeeded on it', () => {
    const back = told(fresh, [fault, passed], { now: 5000 });
    expect([5000, 604_999, 605_000].map((now) => isOnTrial(back, now))).toEqual([true, true, false]);
    expect(isOnTrial(fresh, 0)).toBe(false);
  });

  it('waits twice as long each time, and forgives after ten healthy minutes', () => {
    const once = told(fresh, [fault, failed]);
    const twice = told(once, [{ kind: 'comeback' }, passed, fault, failed]);
    expect([once.openUntil, twice.openUntil]).toEqual([30_000, 60_000]);
    const healthy = told(twice, [{ kind: 'comeback' }, passed]);
    const later = told(healthy, [fault, failed], { now: 600_000 });
    expect((later.openUntil ?? 0) - 600_000).toBe(60_000);
    const muchLater = told(healthy, [fault, failed], { now: 1_200_000 });
    expect((muchLater.openUntil ?? 0) - 1_200_000).toBe(30_000);
  });

  it('says in one line why an instance gets no jobs', () => {
    expect(remarkOn(told(fresh, [fault]))).toBe('gets no jobs until a canary passes: it crashed');
    expect(remarkOn(told(fresh, [fault, failed]))).toBe('put aside for a while: no end in time');
    expect(remarkOn(told(fresh, [fault, passed]))).toBeNull();
  });
});

const jobIds = fc.constantFrom('a', 'b', 'c');
const anyEvent: fc.Arbitrary<BreakerEvent> = fc.oneof(
  fc.constant<BreakerEvent>({ kind: 'success' }),
  fc.constant(fault),
  jobIds.map(quick),
  fc.constant(passed),
  fc.constant(failed),
  fc.constant<BreakerEvent>({ kind: 'comeback' }),
  fc.constant<BreakerEvent>({ kind: 'needed' }),
  fc.constant<BreakerEvent>({ kind: 'time' }),
);
const steps = fc.array(
  fc.record({
    event: anyEvent,
    waitMs: fc.integer({ min: 0, max: 700_000 }),
    spare: fc.boolean(),
    random: fc.double({ min: 0, max: 0.999, noNaN: true }),
  }),
  { maxLength: 60 },
);

/** Every record on the way, with the event that led to it. */
function play(path: readonly { event: BreakerEvent; waitMs: number; spare: boolean; random: number }[]) {
  let now = 0;
  let record = fresh;
  return path.map(({ event, waitMs, spare, random }) => {
    now += waitMs;
    const before = record;
    record = nextBreaker(before, event, { now, spare: () => spare, random: () => random }, tuning);
    return { before, event, record, now, spare };
  });
}

describe('in any order of events, the breaker', () => {
  it('closes by a passed canary, from HALF_OPEN, or because what jobs say of it must not count', () => {
    fc.assert(
      fc.property(steps, (path) => {
        for (const { before, event, record } of play(path)) {
          if (record.state !== 'CLOSED' || before.state === 'CLOSED') continue;
          const way = [before.soft, before.state, event.kind];
          if (event.kind === 'needed') expect(way[0]).toBe(true);
          else expect(way.slice(1)).toEqual(['HALF_OPEN', 'canary-passed']);
        }
      }),
    );
  });

  it('is OPEN for no less than 80 % of its first time and no more than 120 % of ten minutes', () => {
    fc.assert(
      fc.property(steps, (path) => {
        for (const { record, before, now } of play(path)) {
          if (record.state !== 'OPEN') expect(record.openUntil).toBeNull();
          if (record.state !== 'OPEN' || before.state === 'OPEN') continue;
          const openMs = (record.openUntil ?? 0) - now;
          expect(openMs).toBeGreaterThanOrEqual(tuning.openMs * 0.8);
          expect(openMs).toBeLessThanOrEqual(LONGEST_OPEN_MS * 1.2);
        }
      }),
    );
  });

  it('is never stuck: time and a canary that passes always lead back', () => {
    fc.assert(
      fc.property(steps, (path) => {
        const trail = play(path);
        const last = trail.at(-1);
        const now = (last?.now ?? 0) + 2 * LONGEST_OPEN_MS;
        const moment = { now, spare: () => true, random: () => 0.5 };
        const tried = nextBreaker(last?.record ?? fresh, { kind: 'time' }, moment, tuning);
        expect(nextBreaker(tried, passed, moment, tuning).state).toBe('CLOSED');
      }),
    );
  });

  it('gives a reason exactly while jobs are kept away', () => {
    fc.assert(
      fc.property(steps, (path) => {
        for (const { record } of play(path)) {
          expect(record.reason === null).toBe(record.state === 'CLOSED');
          if (record.state !== 'CLOSED') expect([record.doubt, record.trial]).toEqual([null, 0]);
          else expect(record.soft).toBe(false);
        }
      }),
    );
  });

  it('puts nothing aside softly that the fleet cannot spare', () => {
    fc.assert(
      fc.property(steps, (path) => {
        for (const { before, record, spare } of play(path)) {
          if (record.soft && !before.soft) expect(spare).toBe(true);
        }
      }),
    );
  });
});
