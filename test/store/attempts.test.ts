import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fault } from '../../src/domain/fault.ts';
import { recentDispatches } from '../../src/store/attempts.ts';
import { assignment, type Bench, openBench, TERM } from '../jobs/recorder-bench.ts';
import { ENGINES } from '../support/temp-store.ts';

let bench: Bench;
describe.each(ENGINES)('on %s', (engine) => {
  beforeEach(async () => {
    bench = await openBench(engine);
  });
  afterEach(() => bench.close());

  const RETRY = { kind: 'retry', notBefore: 0, delayMs: 0 } as const;

  describe('the dispatches of the last minutes', () => {
    it('tell repeated attempts from first ones and from those after a loss', async () => {
      const failing = await bench.started(0);
      await bench.clock.advance(5000);
      await bench.recorder.fail(failing.attemptId, TERM, fault('NODE_FAILED'), RETRY);
      await bench.recorder.assign(assignment(failing.jobId, bench.ids(), 0));
      const lost = await bench.started(1);
      await bench.recorder.lose(lost.attemptId, TERM, fault('INSTANCE_LOST'));
      await bench.clock.advance(5000);
      await bench.recorder.assign(assignment(lost.jobId, bench.ids(), 1));
      const slices = await recentDispatches(bench.store.db, bench.clock.now(), 60_000);
      expect(slices).toHaveLength(4);
      expect(slices).toEqual(
        expect.arrayContaining([
          { ageMs: 10_000, isRetry: false, count: 1 },
          { ageMs: 5000, isRetry: true, count: 1 },
          { ageMs: 5000, isRetry: false, count: 1 },
          { ageMs: 0, isRetry: false, count: 1 },
        ]),
      );
      expect(slices.map((slice) => slice.ageMs)).toEqual([10_000, 5000, 5000, 0]);
    });

    it('leave out what is older', async () => {
      await bench.started(0);
      await bench.clock.advance(60_000);
      await bench.started(1);
      const slices = await recentDispatches(bench.store.db, bench.clock.now(), 60_000);
      expect(slices).toEqual([{ ageMs: 0, isRetry: false, count: 1 }]);
    });
  });
});
