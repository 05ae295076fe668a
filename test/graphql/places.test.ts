import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Places } from '../../src/graphql/places.ts';
import { StreamMarks } from '../../src/scheduler/forecast/stream-marks.ts';
import { pendingJob } from '../scheduler/planning/pending-job.ts';

const NOW = 1_000_000;

/** A queue in order, of which the first ones are told one by one; each starts a second after the one before. */
function surveyed(count: number, front: number, tenants = 3) {
  const jobs = Array.from({ length: count }, (_, n) =>
    pendingJob({ id: `job${n}`, tenant: `t${n % tenants}`, createdAt: n * 10 }),
  );
  const marks = new StreamMarks(count);
  for (const [n, job] of jobs.entries()) marks.add(job, NOW + n * 1000, false);
  const told = jobs.slice(0, front).map(({ id }, n) => [id, NOW + n * 1000] as const);
  const survey = {
    at: NOW,
    front: told,
    streams: marks.streams(),
    stranded: ['nowhere'],
    capped: [],
    drainedAt: NOW + 5000,
  };
  return { jobs, places: new Places(survey) };
}

describe('places by the picture of the queue', () => {
  it('are exact in front, and nearly so behind it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3000 }),
        fc.nat(500),
        fc.integer({ min: 1, max: 9 }),
        (count, front, tenants) => {
          const { jobs, places } = surveyed(count, front, tenants);
          for (const [n, job] of jobs.entries()) {
            const { position, waitMs } = places.of(job, NOW);
            const off = n < front ? 0 : tenants;
            expect(Math.abs(position - (n + 1))).toBeLessThanOrEqual(off);
            expect(Math.abs((waitMs ?? Number.NaN) - n * 1000)).toBeLessThanOrEqual(off * 1000);
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('never fall from one job of a stream to the next', () => {
    const { jobs, places } = surveyed(2000, 100, 1);
    const positions = jobs.map((job) => places.of(job, NOW).position);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
  });

  it('put a newer job behind the last of its stream, and one of a new stream behind the front', () => {
    const { places } = surveyed(50, 10);
    const newest = pendingJob({ id: 'new', tenant: 't0', createdAt: 10_000 });
    expect(places.of(newest, NOW).position).toBe(50);
    expect(places.of(pendingJob({ id: 'other', tenant: 'other' }), NOW).position).toBe(11);
  });

  it('tell which jobs they know: those named, and those before the last mark of their stream', () => {
    const { jobs, places } = surveyed(50, 10);
    expect(jobs.every((job) => places.knows(job))).toBe(true);
    expect(places.size).toBe(50);
    expect(places.knows(pendingJob({ id: 'new', tenant: 't0', createdAt: 10_000 }))).toBe(false);
    expect(places.knows(pendingJob({ id: 'other', tenant: 'other' }))).toBe(false);
    // had it waited, it would be named
    expect(places.knows(pendingJob({ id: 'back', tenant: 't0', createdAt: 0 }))).toBe(false);
  });

  it('know no wait of what no instance can run', () => {
    const { places } = surveyed(50, 10);
    const stranded = pendingJob({ id: 'job5', tenant: 't2', createdAt: 50, needsKey: 'nowhere' });
    expect(places.of(stranded, NOW)).toEqual({ position: 6, waitMs: null });
  });

  it('come closer as time passes, and are worth nothing once they are old', () => {
    const { jobs, places } = surveyed(50, 10);
    const [, , , fourth] = jobs;
    if (!fourth) throw new Error('no such job');
    expect(places.of(fourth, NOW + 1000).waitMs).toBe(2000);
    expect(places.of(fourth, NOW + 9000).waitMs).toBe(0);
    expect(places.drainMs(NOW + 1000)).toBe(4000);
    expect(places.isFresh(NOW + 15_000)).toBe(true);
    expect(places.isFresh(NOW + 15_001)).toBe(false);
  });
});
