import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HistoryEntry } from '../../../src/comfyui/history.ts';
import {
  judge,
  type LookMemory,
  NOTHING_SEEN,
  type Reached,
  type Sighting,
  type Verdict,
} from '../../../src/scheduler/runs/verdict.ts';

const LIMITS = {
  submitGraceMs: 30_000,
  refusedLostMs: 10_000,
  unreachableLostMs: 45_000,
  stalledStartMs: 30_000,
};
const ENTRY: HistoryEntry = {
  promptId: 'p',
  status: 'success',
  messages: [],
  outputs: {},
  displayNodes: new Map(),
  asked: null,
  startedAt: null,
  endedAt: null,
};
const absent: Sighting = { kind: 'absent' };
const refused: Sighting = { kind: 'refused' };
const silent: Sighting = { kind: 'silent' };
const queued: Sighting = { kind: 'queued', running: true, ahead: 0 };
const ready: Sighting = { kind: 'queued', running: false, ahead: 0 };
const behind: Sighting = { kind: 'queued', running: false, ahead: 2 };

interface Look {
  readonly at: number;
  readonly sighting: Sighting;
}

interface Fixed {
  readonly unanswered?: boolean;
  readonly answeredBadly?: boolean;
  readonly endSeen?: boolean;
  readonly reached?: Reached;
  readonly heardAt?: number;
}

/** Judges looks in turn; the POST was made at 0. */
function verdicts(looks: readonly Look[], fixed: Fixed = {}): Verdict[] {
  let memory: LookMemory = NOTHING_SEEN;
  return looks.map(({ at, sighting }) => {
    const result = judge(
      memory,
      sighting,
      {
        now: at,
        heardAt: fixed.heardAt ?? looks[0]?.at ?? 0,
        unansweredForMs: fixed.unanswered ? at : null,
        answeredBadly: fixed.answeredBadly ?? false,
        endSeen: fixed.endSeen ?? false,
        reached: fixed.reached ?? 'maybe-running',
      },
      LIMITS,
    );
    memory = result.memory;
    return result.verdict;
  });
}

/** When the same sighting, seen every 100 ms, first means that the attempt is lost. */
function lostAfter(sighting: Sighting, fixed: Fixed = {}, before: readonly Look[] = []): number {
  const looks = Array.from({ length: 600 }, (_, index) => ({ at: 100 * (index + 1), sighting }));
  const all = verdicts([...before, ...looks], fixed).slice(before.length);
  const index = all.findIndex((verdict) => verdict.kind === 'lost');
  return index < 0 ? Number.POSITIVE_INFINITY : (looks[index]?.at ?? 0) - 100;
}

/** What the loss is called when the same sighting goes on and on. */
function lossCode(sighting: Sighting, fixed: Fixed = {}, before: readonly Look[] = []): string | undefined {
  const looks = Array.from({ length: 600 }, (_, index) => ({ at: 100 * (index + 1), sighting }));
  const lost = verdicts([...before, ...looks], fixed).find((verdict) => verdict.kind === 'lost');
  return lost?.kind === 'lost' ? lost.code : undefined;
}

describe('what a loss says about the job', () => {
  const gone = [{ at: 0, sighting: refused }];
  const shown: readonly [string, Sighting, Fixed, readonly Look[], string][] = [
    ['refused while it ran', refused, { reached: 'running' }, [], 'INSTANCE_CRASHED'],
    ['refused, and nothing kept it from running', refused, {}, [], 'INSTANCE_CRASHED'],
    ['refused while it waited behind others', refused, { reached: 'waiting' }, [], 'INSTANCE_LOST'],
    ['refused after its history could be read', refused, { reached: 'over' }, [], 'INSTANCE_LOST'],
    ['silent while it ran', silent, { reached: 'running' }, [], 'INSTANCE_UNREACHABLE'],
    ['silent while it waited behind others', silent, { reached: 'waiting' }, [], 'INSTANCE_LOST'],
    ['forgotten by an instance that came back', absent, {}, gone, 'INSTANCE_CRASHED'],
    [
      'forgotten while it waited, by one that came back',
      absent,
      { reached: 'waiting' },
      gone,
      'INSTANCE_LOST',
    ],
    ['vanished while it ran', absent, { reached: 'running' }, [], 'INSTANCE_CRASHED'],
    [
      'vanished after its end was announced',
      absent,
      { reached: 'running', endSeen: true },
      [],
      'INSTANCE_LOST',
    ],
    ['vanished before it was seen to run', absent, {}, [], 'INSTANCE_LOST'],
  ];
  it.each(shown)('%s (F11)', (_name, sighting, fixed, before, code) => {
    expect(lossCode(sighting, fixed, before)).toBe(code);
  });

  it('comes within 20 s of the instance going away, however it is noticed (F11)', () => {
    expect(lostAfter(refused, { reached: 'running' })).toBeLessThanOrEqual(10_000);
    const back = [{ at: 0, sighting: refused }];
    expect(lostAfter(absent, { reached: 'running' }, back)).toBeLessThanOrEqual(1000);
    expect(lostAfter(absent, { reached: 'running', endSeen: true }, back)).toBeLessThanOrEqual(2000);
  });
});

describe('a prompt that does not start', () => {
  const every = (ms: number, sighting: Sighting, from = 0): Look[] =>
    Array.from({ length: 60_000 / ms }, (_, index) => ({ at: from + index * ms, sighting }));

  it('is stalled after 30 s with nothing ahead of it (F13)', () => {
    const looks = every(1000, ready);
    const index = verdicts(looks).findIndex((verdict) => verdict.kind === 'stalled');
    expect(looks[index]?.at).toBe(30_000);
  });

  it('is never stalled while others are ahead of it, or while it runs', () => {
    for (const sighting of [behind, queued]) {
      expect(new Set(verdicts(every(1000, sighting)).map((verdict) => verdict.kind))).toEqual(
        new Set(['alive']),
      );
    }
  });

  it('is given the whole time again after its instance was away or others were ahead (F13)', () => {
    for (const between of [refused, silent, behind]) {
      const looks: Look[] = [
        ...every(1000, ready).slice(0, 20),
        { at: 20_000, sighting: between },
        ...every(1000, ready, 21_000),
      ];
      const index = verdicts(looks).findIndex((verdict) => verdict.kind === 'stalled');
      expect(looks[index]?.at).toBe(51_000);
    }
  });
});

describe('the verdict on an attempt', () => {
  it('is never "lost" by one look, whatever was seen before', () => {
    const sighting = fc.constantFrom(absent, refused, silent);
    fc.assert(
      fc.property(sighting, fc.boolean(), fc.boolean(), (seen, endSeen, answeredBadly) => {
        const [first] = verdicts([{ at: 0, sighting: seen }], { endSeen, answeredBadly });
        expect(first?.kind).toBe('wait');
      }),
    );
  });

  it('is "lost" after 10 s of refused connections and 45 s without an answer', () => {
    expect(lostAfter(refused)).toBe(10_000);
    expect(lostAfter(silent)).toBe(45_000);
  });

  it('counts a silence from what was heard last, but asks for ten seconds at least (F26)', () => {
    expect(lostAfter(silent, { heardAt: 100 - 20_000 })).toBe(25_000);
    expect(lostAfter(silent, { heardAt: 100 - 600_000 })).toBe(10_000);
  });

  it('gives a prompt that is nowhere some seconds, and 10 once its end was announced', () => {
    expect(lostAfter(absent)).toBe(6000);
    expect(lostAfter(absent, { endSeen: true })).toBe(10_000);
  });

  it('is quick when the instance was away and has forgotten the prompt', () => {
    expect(lostAfter(absent, {}, [{ at: 0, sighting: refused }])).toBeLessThan(500);
  });

  it('waits for the grace of a POST that was not answered, but not when it was answered with an error', () => {
    expect(lostAfter(absent, { unanswered: true })).toBeGreaterThanOrEqual(29_900);
    expect(lostAfter(absent, { answeredBadly: true })).toBeLessThan(500);
  });

  it('forgets all doubts once the prompt is seen', () => {
    const looks = [refused, refused, queued, refused].map((sighting, index) => ({
      at: index * 9_000,
      sighting,
    }));
    expect(verdicts(looks).map((verdict) => verdict.kind)).toEqual(['wait', 'wait', 'alive', 'wait']);
  });

  it('takes the end from history whenever it is there', () => {
    const end = { at: 60_000, sighting: { kind: 'ended', entry: ENTRY } as const };
    for (const before of [absent, refused, silent, queued]) {
      expect(verdicts([{ at: 0, sighting: before }, end])[1]).toEqual({ kind: 'ended', entry: ENTRY });
    }
  });

  it('asks again within a second at the latest', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(absent, refused, silent), { minLength: 1 }), (sightings) => {
        const all = verdicts(sightings.map((sighting, index) => ({ at: index, sighting })));
        for (const verdict of all) {
          if (verdict.kind !== 'wait') continue;
          expect(verdict.ms).toBeGreaterThan(0);
          expect(verdict.ms).toBeLessThanOrEqual(1000);
        }
      }),
    );
  });
});
