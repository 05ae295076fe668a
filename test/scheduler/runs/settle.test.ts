/** What log and trace say of an attempt's end is what its row says. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { fault } from '../../../src/domain/fault.ts';
import type { Attempt } from '../../../src/domain/job.ts';
import type { Recorder } from '../../../src/jobs/recorder.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import type { ActiveRun } from '../../../src/scheduler/runs/active-run.ts';
import { failed } from '../../../src/scheduler/runs/outcome.ts';
import { traceRun } from '../../../src/scheduler/runs/run-trace.ts';
import { settle } from '../../../src/scheduler/runs/settle.ts';
import { claimOpenAttempts, findAttempt } from '../../../src/store/attempts.ts';
import { findJob } from '../../../src/store/jobs.ts';
import { alice, openBench, TERM } from '../../jobs/recorder-bench.ts';
import { SpanRecord } from '../../support/span-record.ts';

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const TUNING = { bounds: { baseMs: 1, capMs: 1 }, random: () => 0 };
const SUCCEEDED = { kind: 'succeeded', runMs: 5 } as const;

async function rig() {
  const bench = await openBench();
  onTestFinished(() => bench.close());
  const { jobId, attemptId } = await bench.started();
  await bench.recorder.collecting(attemptId, TERM);
  const job = await findJob(bench.store.db, 'any', jobId);
  const attempt = (await findAttempt(bench.store.db, attemptId)) as Attempt;
  const stop = new AbortController();
  const spans = new SpanRecord();
  const told: Record<string, unknown>[] = [];
  const trace = traceRun(spans.open().tracer, bench.clock, {
    job: { id: jobId, workflow: 'w', trace: PARENT },
    attempt,
    adopted: false,
  });
  const run = (recorder: Partial<Recorder> = {}) =>
    ({
      parts: {
        ...{ store: bench.store, clock: bench.clock, config: { maxCrashes: 3 } },
        ...{ bus: { forget: () => undefined }, recorder: { ...bench.recorder, ...recorder } },
      },
      subject: { job, attempt, term: TERM },
      ...{ promptId: attemptId, ranMs: 5, trace, stopSignal: stop.signal },
      feed: { close: () => undefined, silence: () => undefined },
      logger: createLogger('info', { write: (line) => void told.push(JSON.parse(line)) }),
    }) as unknown as ActiveRun;
  return {
    ...{ bench, jobId, stop, run },
    /** Until it is over; waits are the clock's. */
    async patiently(work: Promise<void>): Promise<void> {
      let over = false;
      const done = work.finally(() => {
        over = true;
      });
      while (!over) await bench.clock.advance(100);
      await done;
    },
    /** Words of the log, and of the span. */
    said(): unknown[] {
      trace.end(null);
      const { attributes } = spans.all()[0] ?? {};
      const words = told.filter(({ level }) => Number(level) < 50).map(({ msg }) => msg);
      return [...words, attributes?.['comfyfleet.attempt.outcome']];
    },
  };
}

/** A write whose first answer is lost: it took place. */
function robbed<A extends unknown[], T>(write: (...args: A) => Promise<T>): (...args: A) => Promise<T> {
  let lost = false;
  return async (...args) => {
    const answer = await write(...args);
    if (lost) return answer;
    lost = true;
    throw new Error('no answer');
  };
}

describe('an attempt that ends', () => {
  it('is said to have succeeded, or failed, once', async () => {
    const good = await rig();
    await settle(good.run(), SUCCEEDED, TUNING);
    expect(good.said()).toEqual(['an attempt succeeded', 'succeeded']);
    const bad = await rig();
    await settle(bad.run(), failed(fault('NODE_FAILED')), TUNING);
    expect(bad.said()).toEqual(['an attempt failed', 'failed']);
  });

  it('is said to be canceled where the job was', async () => {
    for (const outcome of [SUCCEEDED, failed(fault('NODE_FAILED'))]) {
      const { bench, jobId, run, said } = await rig();
      await bench.recorder.cancel(alice, jobId);
      await settle(run(), outcome, TUNING);
      expect(said()).toEqual(['an attempt was canceled', 'canceled']);
    }
  });

  it('is said to have ended as it was written where the answer was lost', async () => {
    const good = await rig();
    const { complete } = good.bench.recorder;
    await good.patiently(settle(good.run({ complete: robbed(complete) }), SUCCEEDED, TUNING));
    expect(good.said()).toEqual(['an attempt succeeded', 'succeeded']);
    const bad = await rig();
    const { fail } = bad.bench.recorder;
    await bad.patiently(settle(bad.run({ fail: robbed(fail) }), failed(fault('NODE_FAILED')), TUNING));
    expect(bad.said()).toEqual(['an attempt failed', 'failed']);
    const canceled = await rig();
    await canceled.bench.recorder.cancel(alice, canceled.jobId);
    const closeCanceled = robbed(canceled.bench.recorder.closeCanceled);
    await canceled.patiently(settle(canceled.run({ closeCanceled }), SUCCEEDED, TUNING));
    expect(canceled.said()).toEqual(['an attempt was canceled', 'canceled']);
  });

  it('is said to be let go where another leads', async () => {
    const { bench, run, said } = await rig();
    await claimOpenAttempts(bench.store.db, TERM + 1);
    await settle(run(), SUCCEEDED, TUNING);
    expect(said()).toEqual(['an attempt is let go', 'let-go']);
  });

  it('is said to be let go where the process stops before it is written', async () => {
    const { stop, run, said } = await rig();
    stop.abort();
    const away = () => Promise.reject(new Error('away'));
    await settle(run({ complete: away, closeCanceled: away }), SUCCEEDED, TUNING);
    expect(said()).toEqual(['an attempt is let go', 'let-go']);
  });
});
