import { describe, expect, it } from 'vitest';
import { fault } from '../../../src/domain/fault.ts';
import type { Attempt } from '../../../src/domain/job.ts';
import { failed } from '../../../src/scheduler/runs/outcome.ts';
import { traceRun } from '../../../src/scheduler/runs/run-trace.ts';
import { SPANS } from '../../../src/tracing/spans.ts';
import { endOf, SpanRecord, startOf } from '../../support/span-record.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const START = 1_700_000_000_000;

function begin(options: { readonly trace?: string | null; readonly adopted?: boolean } = {}) {
  const spans = new SpanRecord();
  const clock = new VirtualClock(START);
  const attempt = {
    id: 'a',
    number: 1,
    instanceId: 'i',
    instanceName: 'gpu1',
    startedAt: START - 50,
  } as Attempt;
  const job = { id: 'j', workflow: 'raw', trace: options.trace === undefined ? PARENT : options.trace };
  const run = traceRun(spans.open().tracer, clock, { job, attempt, adopted: options.adopted ?? false });
  return { spans, clock, run };
}

describe('the spans of an attempt', () => {
  it('begin when its row says, or when it was taken over', () => {
    for (const [adopted, start] of [
      [false, START - 50],
      [true, START],
    ] as const) {
      const { spans, run } = begin({ adopted });
      run.end(null);
      expect(startOf(spans.all()[0] as never)).toBe(start);
    }
  });

  it('let the run begin when it was heard to execute, once', async () => {
    const { spans, clock, run } = begin();
    await run.step(SPANS.run, async () => {
      await clock.advance(100);
      run.begun();
      await clock.advance(40);
      run.begun();
      return { kind: 'ended' as const };
    });
    const [span] = spans.all();
    expect([startOf(span as never), endOf(span as never)]).toEqual([START + 100, START + 140]);
  });

  it('take what a step throws for a mistake of ours, and throw it on', async () => {
    const { spans, run } = begin();
    const work = () => Promise.reject(new Error('a secret'));
    await expect(run.step(SPANS.collect, work)).rejects.toThrow('a secret');
    expect(spans.all()).toMatchObject([
      { name: 'outputs.collect', attributes: { 'error.type': 'INTERNAL' }, status: { code: 2 }, events: [] },
    ]);
  });

  it('name the fault of the step that ended it, and of itself', async () => {
    const { spans, run } = begin();
    const outcome = failed(fault('UPLOAD_FAILED'));
    await run.step(SPANS.uploadInputs, async () => ({ end: outcome }));
    run.concluded(outcome);
    run.decided('retry');
    run.end(null);
    for (const span of spans.all())
      expect(span).toMatchObject({ attributes: { 'error.type': 'UPLOAD_FAILED' } });
    expect(spans.all().map(({ name }) => name)).toEqual(['comfyui.upload_inputs', 'attempt']);
    for (const span of spans.all()) expect(span.status).toEqual({ code: 2 });
  });

  it('are none where the request was not traced, or its row holds something else', async () => {
    for (const trace of [null, 'nonsense']) {
      const { spans, run } = begin({ trace });
      expect(run.traceId).toBeNull();
      expect(await run.step(SPANS.release, async () => true)).toBe(true);
      run.end('cancel');
      expect(spans.all()).toEqual([]);
    }
  });
});
