/** One trace from a client's request to the collected outputs of the job that it submitted, over retries, restarts and leaders. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { createClient } from 'graphql-ws';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { rawId } from '../../src/graphql/global-id.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { findJob as findRow } from '../../src/store/jobs.ts';
import { openStore } from '../../src/store/open.ts';
import { sleepGraph } from '../support/graphs.ts';
import { act, ended, jobThat, submission, submitGraph, uploaded } from '../support/jobs.ts';
import { type GatewayOptions, type RunningGateway, startGateway } from '../support/running-gateway.ts';
import { endOf, SpanRecord, startOf } from '../support/span-record.ts';
import { createTestDatabase } from '../support/test-database.ts';

const PICTURE = new URL('../../assets/orange.png', import.meta.url);
let salt = 0;
const short = (): JsonObject => sleepGraph({ seconds: 0.05, salt: ++salt });
const long = (): JsonObject => sleepGraph({ seconds: 120, steps: 1200, salt: ++salt });

/** As a client that traces sends it. */
function clientTrace(flags = '01') {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` };
}

/** A traced submission over HTTP; answers the job's id. */
async function submit(
  { url }: RunningGateway,
  traceparent: string,
  graph: JsonObject,
  options: object = {},
): Promise<string> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', traceparent, 'x-request-id': 'asked-by-a-test' },
    body: JSON.stringify({ query: submission('submitJob'), variables: { input: { graph, ...options } } }),
  });
  const { data } = (await response.json()) as { data: { result: { job: { id: string } } } };
  return data.result.job.id;
}

async function traced(options: GatewayOptions = {}): Promise<{ gateway: RunningGateway; spans: SpanRecord }> {
  const spans = new SpanRecord();
  return { gateway: await startGateway({ ...options, tracing: spans.open }), spans };
}

/** Names of children in the order of time, each with its own. */
function tree(spans: readonly ReadableSpan[], parentId: string): object[] {
  return spans
    .filter((span) => span.parentSpanContext?.spanId === parentId)
    .map((span) => {
      const children = tree(spans, span.spanContext().spanId);
      return children.length > 0 ? { [span.name]: children } : { [span.name]: 'leaf' };
    });
}

const named = (spans: readonly ReadableSpan[], name: string): ReadableSpan => {
  const span = spans.find((one) => one.name === name);
  if (!span) throw new Error(`no span ${name} among ${spans.map((one) => one.name)}`);
  return span;
};

describe('a job that is traced', () => {
  it("is one trace under its client's span: request, queue, attempt and its steps, one inside and behind the other", async () => {
    const { gateway, spans } = await traced();
    const uploadId = await uploaded(gateway.client, new Uint8Array(await readFile(PICTURE)));
    const { traceId, spanId, traceparent } = clientTrace();
    const graph = {
      ...short(),
      '3': { class_type: 'LoadImage', inputs: { image: { $file: { uploadId } } } },
      '4': { class_type: 'SaveImage', inputs: { images: ['3', 0], filename_prefix: 'a-secret-name' } },
    };
    const id = await submit(gateway, traceparent, graph);
    await ended(gateway.client, id);
    await spans.named(traceId, 'attempt');
    const trace = spans.ofTrace(traceId);

    const steps = ['comfyui.upload_inputs', 'comfyui.post_prompt', 'comfyui.run', 'outputs.collect'];
    expect(tree(trace, spanId)).toEqual([
      {
        'graphql mutation submitJob': [
          { 'job.queued': 'leaf' },
          { attempt: steps.map((name) => ({ [name]: 'leaf' })) },
        ],
      },
    ]);
    const [request, queued, attempt] = ['graphql mutation submitJob', 'job.queued', 'attempt'].map((name) =>
      named(trace, name),
    ) as [ReadableSpan, ReadableSpan, ReadableSpan];
    expect(startOf(queued)).toBeGreaterThanOrEqual(startOf(request));
    expect(startOf(attempt)).toBe(endOf(queued));
    for (const name of steps) {
      expect(startOf(named(trace, name))).toBeGreaterThanOrEqual(startOf(attempt));
      expect(endOf(named(trace, name))).toBeLessThanOrEqual(endOf(attempt));
    }
    expect(endOf(named(trace, 'comfyui.post_prompt'))).toBeLessThanOrEqual(
      startOf(named(trace, 'outputs.collect')),
    );

    const jobId = rawId(id, 'Job');
    expect(request.attributes).toEqual({
      'graphql.operation.type': 'mutation',
      'graphql.operation.name': 'Submit',
      'comfyfleet.request.id': 'asked-by-a-test',
      'comfyfleet.job.id': jobId,
    });
    expect(queued.attributes).toMatchObject({
      'comfyfleet.job.id': jobId,
      'comfyfleet.queue.outcome': 'dispatched',
    });
    expect(attempt.attributes).toMatchObject({
      'comfyfleet.job.id': jobId,
      'comfyfleet.workflow': 'raw',
      'comfyfleet.instance.name': 'gpu1',
      'comfyfleet.attempt.number': 1,
      'comfyfleet.attempt.adopted': false,
      'comfyfleet.attempt.outcome': 'succeeded',
    });
    for (const span of trace) expect(span.status.code).toBe(0);
    const told = JSON.stringify(
      trace.map(({ name, attributes, events, status }) => [name, attributes, events, status]),
    );
    expect(told).not.toMatch(/a-secret-name|http:|prefix/);
  });

  it('takes the trace of an operation over WebSocket from its extensions', async () => {
    const { gateway, spans } = await traced();
    const { traceId, spanId, traceparent } = clientTrace();
    const socket = createClient({
      url: `${gateway.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
    });
    const results = socket.iterate<{ result: { job: { id: string } } }>({
      query: submission('submitJob'),
      variables: { input: { graph: short() } },
      extensions: { traceparent },
    });
    const { value } = await results.next();
    await ended(gateway.client, value?.data?.result.job.id ?? '');
    await spans.named(traceId, 'outputs.collect');
    await socket.dispose();
    const [request] = await spans.named(traceId, 'graphql mutation submitJob');
    expect(request?.parentSpanContext?.spanId).toBe(spanId);
  });

  it('begins a trace of its own where the client has none', async () => {
    const { gateway, spans } = await traced();
    const { id } = await submitGraph(gateway.client, short());
    await ended(gateway.client, id);
    const request = named(spans.all(), 'graphql mutation submitJob');
    expect(request.parentSpanContext).toBeUndefined();
    await spans.named(request.spanContext().traceId, 'attempt');
  });

  it('shows each attempt with its fault, and each wait before one', async () => {
    const { gateway, spans } = await traced({ instances: [{}, {}] });
    const nodeErrors = { RigSleep: { type: 'RuntimeError', message: 'a-secret-of-the-prompt' } };
    for (const { control } of gateway.instances) control.setFaults({ nodeErrors });
    const { traceId, traceparent } = clientTrace();
    const id = await submit(gateway, traceparent, short(), { maxAttempts: 2 });
    expect(await ended(gateway.client, id)).toMatchObject({
      status: 'FAILED',
      error: { code: 'NODE_FAILED' },
    });
    const attempts = await spans.named(traceId, 'attempt', 2);
    expect(attempts.map(({ attributes }) => attributes)).toMatchObject([
      { 'comfyfleet.attempt.number': 1, 'comfyfleet.attempt.decision': 'retry' },
      { 'comfyfleet.attempt.number': 2, 'comfyfleet.attempt.decision': 'final' },
    ]);
    for (const attempt of attempts) {
      expect(attempt.status.code).toBe(2);
      expect(attempt.attributes).toMatchObject({
        'comfyfleet.attempt.outcome': 'failed',
        'error.type': 'NODE_FAILED',
      });
    }
    const ends = await spans.named(traceId, 'outputs.collect', 2);
    for (const end of ends) expect(end.attributes).toEqual({ 'error.type': 'NODE_FAILED' });
    const [first, second] = await spans.named(traceId, 'job.queued', 2);
    expect(startOf(second as ReadableSpan)).toBeGreaterThan(endOf(first as ReadableSpan));
    expect(endOf(second as ReadableSpan)).toBe(startOf(attempts[1] as ReadableSpan));
    expect(JSON.stringify(spans.ofTrace(traceId).map(({ attributes }) => attributes))).not.toContain(
      'a-secret',
    );
  });

  it('shows that it was canceled: while it ran, and while it waited', async () => {
    const { gateway, spans } = await traced();
    const [running, waiting] = [clientTrace(), clientTrace()];
    const first = await submit(gateway, running.traceparent, long());
    await jobThat(gateway.client, first, ({ progress }) => progress.fraction > 0);
    const second = await submit(gateway, waiting.traceparent, short());
    await jobThat(gateway.client, second, ({ queue }) => queue?.position === 1);
    await act(gateway.client, 'cancelJob', second);
    const [wait] = await spans.named(waiting.traceId, 'job.queued');
    expect(wait?.attributes).toMatchObject({ 'comfyfleet.queue.outcome': 'canceled' });
    await act(gateway.client, 'cancelJob', first);
    const [attempt] = await spans.named(running.traceId, 'attempt');
    expect(attempt?.attributes).toMatchObject({
      'comfyfleet.attempt.outcome': 'canceled',
      'comfyfleet.attempt.interruption': 'cancel',
    });
    expect(tree(spans.ofTrace(running.traceId), attempt?.spanContext().spanId ?? '')).toContainEqual({
      'comfyui.release': 'leaf',
    });
  });

  it('shows that its time was up: its run, or its wait', async () => {
    const { gateway, spans } = await traced();
    const [slow, late] = [clientTrace(), clientTrace()];
    const first = await submit(gateway, slow.traceparent, long(), { timeoutMs: 1500, maxAttempts: 1 });
    const second = await submit(gateway, late.traceparent, short(), { deadlineMs: 300 });
    expect(await ended(gateway.client, second)).toMatchObject({ error: { code: 'DEADLINE_EXCEEDED' } });
    const [wait] = await spans.named(late.traceId, 'job.queued');
    expect(wait?.attributes).toMatchObject({
      'comfyfleet.queue.outcome': 'expired',
      'error.type': 'DEADLINE_EXCEEDED',
    });
    expect(wait?.status.code).toBe(2);
    expect(await ended(gateway.client, first)).toMatchObject({ error: { code: 'TIMEOUT' } });
    const [attempt] = await spans.named(slow.traceId, 'attempt');
    expect(attempt?.attributes).toMatchObject({
      'error.type': 'TIMEOUT',
      'comfyfleet.attempt.interruption': 'timeout',
    });
  });

  it('goes on in the same trace after a restart', async () => {
    const { gateway, spans } = await traced();
    const { traceId, traceparent } = clientTrace();
    const id = await submit(gateway, traceparent, sleepGraph({ seconds: 1.5, steps: 15, salt: ++salt }));
    await jobThat(gateway.client, id, ({ progress }) => progress.fraction > 0);
    await gateway.restart();
    await ended(gateway.client, id);
    const [before, after] = await spans.named(traceId, 'attempt', 2);
    expect(before?.attributes).toMatchObject({
      'comfyfleet.attempt.outcome': 'let-go',
      'comfyfleet.attempt.interruption': 'stop',
    });
    expect(after?.attributes).toMatchObject({
      'comfyfleet.attempt.adopted': true,
      'comfyfleet.attempt.outcome': 'succeeded',
      'comfyfleet.attempt.id': before?.attributes['comfyfleet.attempt.id'],
      'comfyfleet.attempt.number': 1,
    });
    const [request] = await spans.named(traceId, 'graphql mutation submitJob');
    for (const one of [before, after])
      expect(one?.parentSpanContext?.spanId).toBe(request?.spanContext().spanId);
    const collected = named(spans.ofTrace(traceId), 'outputs.collect');
    expect(collected.parentSpanContext?.spanId).toBe(after?.spanContext().spanId);
  });

  it('goes on in the same trace under the next leader', async () => {
    const database = await createTestDatabase();
    onTestFinished(() => database.drop());
    const files = await mkdtemp(join(tmpdir(), 'comfyfleet-traces-'));
    onTestFinished(() => rm(files, { recursive: true, force: true }));
    const config = { databaseUrl: database.url, storageUrl: pathToFileURL(files).href };
    const { gateway: first, spans } = await traced({ config });
    const comfyuiInstances = first.instances.map(({ url }) => ({ name: 'gpu1', url, capacity: 1 }));
    const second = await startGateway({ config: { ...config, comfyuiInstances }, tracing: spans.open });
    const { traceId, traceparent } = clientTrace();
    const id = await submit(second, traceparent, sleepGraph({ seconds: 1.5, steps: 15, salt: ++salt }));
    await jobThat(first.client, id, ({ progress }) => progress.fraction > 0);
    await first.halt();
    expect(await ended(second.client, id)).toMatchObject({ status: 'COMPLETED', attempts: [{ number: 1 }] });
    const attempts = await spans.named(traceId, 'attempt', 2);
    const told = attempts.map(({ attributes }) => [
      attributes['comfyfleet.attempt.adopted'],
      attributes['comfyfleet.attempt.outcome'],
    ]);
    expect(told).toEqual([
      [false, 'let-go'],
      [true, 'succeeded'],
    ]);
    const [request] = await spans.named(traceId, 'graphql mutation submitJob');
    for (const one of attempts) expect(one.parentSpanContext?.spanId).toBe(request?.spanContext().spanId);
  }, 60_000);

  it('that is retried gets a new trace, with a link to the old one', async () => {
    const { gateway, spans } = await traced();
    const { traceId, traceparent } = clientTrace();
    const id = await submit(gateway, traceparent, short());
    await ended(gateway.client, id);
    const again = await act(gateway.client, 'retryJob', id);
    await ended(gateway.client, again.job?.id ?? '');
    const retry = named(spans.all(), 'graphql mutation retryJob');
    const [submitted] = await spans.named(traceId, 'graphql mutation submitJob');
    expect(retry.spanContext().traceId).not.toBe(traceId);
    expect(retry.links).toMatchObject([
      {
        context: { traceId, spanId: submitted?.spanContext().spanId },
        attributes: { 'comfyfleet.job.id': rawId(id, 'Job') },
      },
    ]);
    expect(retry.attributes['comfyfleet.job.id']).toBe(rawId(again.job?.id ?? '', 'Job'));
    await spans.named(retry.spanContext().traceId, 'attempt');
  });
});

describe('nothing is kept for traces', () => {
  async function traceOf(gateway: RunningGateway, id: string): Promise<string | null | undefined> {
    await gateway.halt();
    const store = await openStore({
      url: undefined,
      dataDir: gateway.dataDir,
      synchronous: 'NORMAL',
      poolMax: 1,
      logger: createLogger('silent'),
    });
    try {
      return (await findRow(store.db, 'any', rawId(id, 'Job') ?? ''))?.trace;
    } finally {
      await store.stop();
    }
  }

  it('where they are off, whatever clients send', async () => {
    const gateway = await startGateway();
    const id = await submit(gateway, clientTrace().traceparent, short());
    await ended(gateway.client, id);
    expect(await traceOf(gateway, id)).toBeNull();
  });

  it("of a request whose client's trace is not kept", async () => {
    const { gateway, spans } = await traced();
    const { traceId, traceparent } = clientTrace('00');
    const id = await submit(gateway, traceparent, short());
    await ended(gateway.client, id);
    expect(await traceOf(gateway, id)).toBeNull();
    expect(spans.ofTrace(traceId)).toEqual([]);
  });

  it('but the place of the request, where they are on', async () => {
    const { gateway, spans } = await traced();
    const { traceId, traceparent } = clientTrace();
    const id = await submit(gateway, traceparent, short());
    await ended(gateway.client, id);
    const [request] = await spans.named(traceId, 'graphql mutation submitJob');
    expect(await traceOf(gateway, id)).toBe(`00-${traceId}-${request?.spanContext().spanId}-01`);
  });
});
