import { describe, expect, it } from 'vitest';
import type { Survey } from '../../../src/domain/survey.ts';
import { sameForAll } from '../../../src/domain/tenant-limits.ts';
import { Places } from '../../../src/graphql/places.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { FRONT, Surveyor } from '../../../src/scheduler/forecast/survey.ts';
import { EVEN_SHARES } from '../../../src/scheduler/planning/fair-share.ts';
import { PendingQueue } from '../../../src/scheduler/planning/pending-queue.ts';
import { flush, VirtualClock } from '../../support/virtual-clock.ts';
import { candidate } from '../planning/candidate.ts';
import { pendingJob } from '../planning/pending-job.ts';

const RUN_MS = 1000;

function setting(jobs: number) {
  const clock = new VirtualClock();
  const queue = new PendingQueue();
  const all = Array.from({ length: jobs }, (_, n) =>
    pendingJob({ id: `job${String(n).padStart(5, '0')}`, tenant: `t${n % 7}`, createdAt: n + 1 }),
  );
  for (const job of all) queue.put(job, clock.now());
  const published: Survey[] = [];
  const surveyor = new Surveyor({
    bus: { publishSurvey: (survey) => void published.push(survey) },
    queue,
    look: () => ({
      candidates: [candidate({ id: 'a' }), candidate({ id: 'b' })],
      needs: new Map(),
      estimates: { runMs: () => RUN_MS, loadMs: () => 0 },
      usualMs: RUN_MS,
      limitsOf: sameForAll,
      running: [],
      maxConcurrentJobs: null,
      shares: EVEN_SHARES,
      ageingMs: 300_000,
    }),
    clock,
    logger: createLogger('silent'),
  });
  return { clock, queue, all, published, surveyor };
}

describe('a survey', () => {
  it('tells the place and the start of every job of a long queue', async () => {
    const { clock, all, surveyor } = setting(5000);
    const survey = await surveyor.take(new AbortController().signal);
    expect(survey.front).toHaveLength(FRONT);
    const places = new Places(survey);
    for (const [n, job] of all.entries()) {
      const { position, waitMs } = places.of(job, clock.now());
      expect(Math.abs(position - (n + 1))).toBeLessThanOrEqual(7);
      expect(Math.abs((waitMs ?? Number.NaN) - Math.floor(n / 2) * RUN_MS)).toBeLessThanOrEqual(7 * RUN_MS);
    }
    expect(survey.drainedAt).toBe(clock.now() + 2500 * RUN_MS);
  });

  it('is taken at once after a change and then at most once a second, however much changes', async () => {
    const { clock, queue, published, surveyor } = setting(10);
    await surveyor.start();
    await flush();
    const before = published.length;
    for (let n = 0; n < 40; n++) {
      queue.remove(`job0000${n % 5}`);
      surveyor.changed();
      await clock.advance(100);
    }
    expect(published.length - before).toBeGreaterThanOrEqual(3);
    expect(published.length - before).toBeLessThanOrEqual(5);
    expect(published.at(-1)?.front).toHaveLength(5);
    await surveyor.stop();
  });

  it('is renewed while jobs wait, and not once nothing waits', async () => {
    const { clock, queue, published, surveyor } = setting(1);
    await surveyor.start();
    await clock.advance(12_000);
    expect(published.length).toBeGreaterThanOrEqual(3);
    queue.remove('job00000');
    await clock.advance(12_000);
    const last = published.length;
    expect(published.at(-1)?.front).toEqual([]);
    await clock.advance(60_000);
    expect(published).toHaveLength(last);
    await surveyor.stop();
  });
});
