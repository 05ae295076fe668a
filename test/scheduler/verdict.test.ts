import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HistoryEntry } from '../../src/comfyui/history.ts';
import {
  judge,
  type LookMemory,
  NOTHING_SEEN,
  type Sighting,
  type Verdict,
} from '../../src/scheduler/verdict.ts';

const LIMITS = { submitGraceMs: 30_000, refusedLostMs: 10_000, unreachableLostMs: 45_000 };
const ENTRY: HistoryEntry = {
  promptId: 'p',
  status: 'success',
  messages: [],
  outputs: {},
  displayNodes: new Map(),
  startedAt: null,
  endedAt: null,
};
const absent: Sighting = { kind: 'absent' };
const refused: Sighting = { kind: 'refused' };
const silent: Sighting = { kind: 'silent' };
const queued: Sighting = { kind: 'queued', running: true };

interface Look {
  readonly at: number;
  readonly sighting: Sighting;
}

interface Fixed {
  readonly unanswered?: boolean;
  readonly answeredBadly?: boolean;
  readonly endSeen?: boolean;
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
        unansweredForMs: fixed.unanswered ? at : null,
        answeredBadly: fixed.answeredBadly ?? false,
        endSeen: fixed.endSeen ?? false,
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
