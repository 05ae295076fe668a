import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BreakerEvent,
  type BreakerRecord,
  initialBreaker,
  nextBreaker,
} from '../../src/fleet/breaker.ts';
import { ejection, neededBack, type Standing } from '../../src/fleet/ejections.ts';

type Word = 'used' | 'soft' | 'aside' | 'away';

/** An instance for each word, named by its place; aside since that place. */
function fleetOf(...words: Word[]): Standing[] {
  return words.map((word, since) => ({
    id: String(since),
    answering: word !== 'away',
    use: word === 'soft' ? 'softly aside' : word === 'aside' ? 'aside' : 'used',
    since,
  }));
}

describe('putting an instance aside for what jobs say', () => {
  it('is granted for half of those that answer', () => {
    expect(ejection(fleetOf('used', 'used'), '0')).toBe('granted');
    expect(ejection(fleetOf('used', 'soft', 'used', 'used'), '0')).toBe('granted');
    expect(ejection(fleetOf('used', 'soft', 'soft', 'used'), '0')).toBe('refused');
    expect(ejection(fleetOf('used', 'soft', 'used'), '0')).toBe('refused');
    expect(ejection(fleetOf('used', 'soft', 'used', 'away'), '0')).toBe('refused');
  });

  it('is never granted for the last one that is used', () => {
    expect(ejection(fleetOf('used', 'aside', 'aside', 'aside'), '0')).toBe('refused');
    expect(ejection(fleetOf('used', 'away', 'aside', 'away'), '0')).toBe('refused');
  });

  it('shows nothing of the fleet where nobody else answers', () => {
    expect(ejection(fleetOf('used'), '0')).toBe('alone');
    expect(ejection(fleetOf('used', 'away', 'away'), '0')).toBe('alone');
  });

  it('does not count what is broken', () => {
    expect(ejection(fleetOf('used', 'aside', 'aside', 'used'), '0')).toBe('granted');
  });
});

describe('an instance put aside for what jobs say', () => {
  it('is used again when so many have gone that too many are aside, the longest first', () => {
    expect(neededBack(fleetOf('used', 'soft', 'soft', 'used'))).toEqual([]);
    expect(neededBack(fleetOf('away', 'soft', 'soft', 'used'))).toEqual(['1']);
    expect(neededBack(fleetOf('away', 'soft', 'soft', 'away'))).toEqual(['1']);
    expect(neededBack(fleetOf('away', 'soft'))).toEqual(['1']);
  });

  it('is used again when nothing else is, as the others are broken', () => {
    expect(neededBack(fleetOf('aside', 'soft', 'aside', 'aside'))).toEqual(['1']);
    expect(neededBack(fleetOf('aside', 'aside'))).toEqual([]);
  });
});

const SIZES = { min: 1, max: 9 };
const kinds = fc.constantFrom(
  'quick',
  'quick',
  'quick',
  'fault',
  'success',
  'passed',
  'failed',
  'time',
  'comeback',
);
const happening = fc.record({
  who: fc.nat(SIZES.max - 1),
  what: fc.oneof(
    { weight: 6, arbitrary: kinds },
    { weight: 2, arbitrary: fc.constantFrom('goes', 'answers') },
  ),
  waitMs: fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 700_000 })),
});

interface One {
  record: BreakerRecord;
  answering: boolean;
}

/** The breakers of a whole fleet under the rule, with what happens to them one after the other. */
class World {
  readonly ones: One[];
  now = 0;
  refused = 0;
  back = 0;
  #jobs = 0;

  constructor(size: number) {
    this.ones = Array.from({ length: size }, () => ({
      record: initialBreaker('CLOSED', 0),
      answering: true,
    }));
  }

  happen(who: number, what: string): void {
    const one = this.ones[who];
    if (!one) return;
    if (what === 'goes' || what === 'answers') one.answering = what === 'answers';
    else this.#tell(who, this.#event(what));
    for (const id of neededBack(this.standings())) {
      this.back++;
      this.#tell(Number(id), { kind: 'needed' });
    }
  }

  standings(): Standing[] {
    return this.ones.map(({ record, answering }, index) => ({
      id: String(index),
      answering,
      use: record.state === 'CLOSED' ? 'used' : record.soft ? 'softly aside' : 'aside',
      since: record.since,
    }));
  }

  #tell(who: number, event: BreakerEvent): void {
    const one = this.ones[who];
    if (!one) return;
    const spare = () => {
      const answer = ejection(this.standings(), String(who));
      if (answer === 'refused') this.refused++;
      return answer === 'granted';
    };
    const moment = { now: this.now, spare, random: () => 0.5 };
    one.record = nextBreaker(one.record, event, moment, { threshold: 3, openMs: 30_000 });
  }

  #event(what: string): BreakerEvent {
    if (what === 'quick')
      return { kind: 'quick-failure', jobId: `job ${this.#jobs++}`, reason: 'ValueError' };
    if (what === 'fault') return { kind: 'fault', reason: 'it crashed' };
    if (what === 'passed') return { kind: 'canary-passed' };
    if (what === 'failed') return { kind: 'canary-failed', reason: 'no end in time' };
    return { kind: what as 'success' | 'time' | 'comeback' };
  }
}

describe('whatever comes, in a fleet', () => {
  it('at most half of those that answer are aside for what jobs say, and one is used unless all are broken', () => {
    const seen = { refused: 0, back: 0 };
    fc.assert(
      fc.property(
        fc.integer(SIZES),
        fc.array(happening, { maxLength: 150, size: 'max' }),
        (size, happenings) => {
          const world = new World(size);
          for (const { who, what, waitMs } of happenings) {
            world.now += waitMs;
            world.happen(who % size, what);
            const answering = world.standings().filter((one) => one.answering);
            const soft = answering.filter(({ use }) => use === 'softly aside');
            expect(soft.length).toBeLessThanOrEqual(answering.length / 2);
            if (answering.some(({ use }) => use !== 'aside')) {
              expect(answering.some(({ use }) => use === 'used')).toBe(true);
            }
          }
          seen.refused += world.refused;
          seen.back += world.back;
        },
      ),
      { numRuns: 500 },
    );
    // the histories do come that far
    expect(Math.min(seen.refused, seen.back)).toBeGreaterThan(0);
  });
});
