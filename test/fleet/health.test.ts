import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterProbe,
  type HealthRecord,
  NEVER_PROBED,
  nextProbeInMs,
  type ProbeResult,
} from '../../src/fleet/health.ts';

const answer: ProbeResult = { kind: 'answered', responseMs: 2, doubt: null };
const doubtful: ProbeResult = { kind: 'answered', responseMs: 2, doubt: 'its WebSocket is down' };
const miss: ProbeResult = { kind: 'missed', error: 'ECONNREFUSED' };

function recordAfter(results: readonly ProbeResult[], start: HealthRecord = NEVER_PROBED): HealthRecord {
  return results.reduce((record, result, index) => afterProbe(record, result, 1000 + index, 3), start);
}

describe('the health of an instance', () => {
  it('is UNHEALTHY after three misses in a row and HEALTHY at the next answer', () => {
    expect(recordAfter([answer]).health).toBe('HEALTHY');
    expect(recordAfter([answer, miss]).health).toBe('DEGRADED');
    expect(recordAfter([answer, miss, miss]).health).toBe('DEGRADED');
    expect(recordAfter([answer, miss, miss, miss]).health).toBe('UNHEALTHY');
    expect(recordAfter([answer, miss, miss, miss, answer])).toMatchObject({
      health: 'HEALTHY',
      misses: 0,
      upSince: 1004,
      lastError: null,
    });
  });

  it('stays UNKNOWN until there is enough to say', () => {
    expect(recordAfter([miss, miss]).health).toBe('UNKNOWN');
    expect(recordAfter([miss, miss, miss]).health).toBe('UNHEALTHY');
  });

  it('is DEGRADED while it answers with something amiss, and says what', () => {
    expect(recordAfter([answer, doubtful])).toMatchObject({
      health: 'DEGRADED',
      lastError: 'its WebSocket is down',
      upSince: 1000,
    });
  });

  it('depends on the last run of results only', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(answer, doubtful, miss), { maxLength: 12 }), (results) => {
        const record = recordAfter(results);
        const misses = results.length - 1 - results.findLastIndex((it) => it.kind === 'answered');
        expect(record.misses).toBe(misses);
        if (misses >= 3) expect(record.health).toBe('UNHEALTHY');
        if (misses === 0 && results.length > 0) {
          expect(record.health).toBe(results.at(-1) === answer ? 'HEALTHY' : 'DEGRADED');
        }
      }),
    );
  });
});

describe('the pause between probes', () => {
  it('is the interval give or take a fifth, and brings a lost instance back within 10 s of answering', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 50 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (misses, chance) => {
          const pause = nextProbeInMs({ ...NEVER_PROBED, misses }, 5000, () => chance);
          expect(pause).toBeLessThanOrEqual(6000);
          if (misses === 0) expect(pause).toBeGreaterThanOrEqual(4000);
          if (misses === 1) expect(pause).toBeLessThanOrEqual(1200);
        },
      ),
    );
  });
});
