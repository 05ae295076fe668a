/** Real exports to a collector of ours: what it gets, and that it may refuse, hang or be nowhere. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { openTracing } from '../../src/tracing/open-tracing.ts';
import { beginSpan } from '../../src/tracing/spans.ts';
import { parseTraceparent } from '../../src/tracing/traceparent.ts';
import type { Tracing, TracingConfig } from '../../src/tracing/tracing.ts';
import { startCollector } from '../support/collector.ts';
import { eventually } from '../support/eventually.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { TestClient } from '../support/graphql-client.ts';
import { sleepGraph } from '../support/graphs.ts';
import { act, ended, jobThat, submitGraph } from '../support/jobs.ts';
import { startGateway } from '../support/running-gateway.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const CONFIG: TracingConfig = {
  otelExporterOtlpEndpoint: undefined,
  otelExporterOtlpHeaders: [],
  otelServiceName: 'comfyfleet',
  otelTracesSamplerArg: 1,
};

async function open(config: Partial<TracingConfig>, clock = systemClock) {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger('debug', { write: (line: string) => void lines.push(JSON.parse(line)) });
  const tracing = await openTracing({ ...CONFIG, ...config }, { version: '1.2.3', clock, logger });
  return { tracing, lines };
}

function span({ tracer }: Tracing, name: string, traceparent?: string): void {
  if (!tracer) throw new Error('nothing is traced');
  beginSpan(tracer, name, { parent: parseTraceparent(traceparent), attributes: { a: 1, b: 2 } }).end();
}

describe('traces for a collector', () => {
  it('are sent with what the configuration says, at the latest when the process stops', async () => {
    const { url, exports } = await startCollector();
    const { tracing, lines } = await open({
      otelExporterOtlpEndpoint: `${url}/tenant/`,
      otelExporterOtlpHeaders: ['authorization=Basic%20abc=', ' x-scope = one '],
      otelServiceName: 'pictures',
    });
    span(tracing, 'one');
    span(tracing, 'two');
    await tracing.stop();
    expect(exports).toHaveLength(1);
    expect(exports[0]).toMatchObject({
      path: '/tenant/v1/traces',
      headers: { authorization: 'Basic abc=', 'x-scope': 'one', 'content-type': 'application/json' },
      resource: { 'service.name': 'pictures', 'service.version': '1.2.3' },
      spans: [{ name: 'one' }, { name: 'two' }],
    });
    expect(exports[0]?.resource['service.instance.id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(lines).toEqual([]);
  });

  it('are as the configuration says, whatever else the environment tells the SDK', async () => {
    const [ours, other] = [await startCollector(), await startCollector()];
    vi.stubEnv('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', other.url);
    vi.stubEnv('OTEL_TRACES_SAMPLER', 'always_off');
    vi.stubEnv('OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', '1');
    vi.stubEnv('OTEL_BSP_MAX_QUEUE_SIZE', '1');
    vi.stubEnv('OTEL_EXPORTER_OTLP_COMPRESSION', 'gzip');
    vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'service.name=other');
    try {
      const { tracing } = await open({ otelExporterOtlpEndpoint: ours.url });
      for (let n = 0; n < 3; n++) span(tracing, 'one');
      await tracing.stop();
    } finally {
      vi.unstubAllEnvs();
    }
    expect(other.exports).toEqual([]);
    expect(ours.exports).toMatchObject([{ resource: { 'service.name': 'comfyfleet' } }]);
    expect(ours.exports[0]?.spans.map(({ attributes }) => attributes.length)).toEqual([2, 2, 2]);
  });

  it('are those of the share that is kept, and all whose parent is kept', async () => {
    const { url, exports } = await startCollector();
    const { tracing } = await open({ otelExporterOtlpEndpoint: url, otelTracesSamplerArg: 0 });
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    span(tracing, 'of nobody');
    span(tracing, 'of a client that keeps it', `00-${traceId}-00f067aa0ba902b7-01`);
    span(tracing, 'of a client that does not', `00-${traceId}-00f067aa0ba902b7-00`);
    await tracing.stop();
    expect(exports).toMatchObject([{ spans: [{ name: 'of a client that keeps it', traceId }] }]);
  });

  it('are lost where it does not take them, which is said once', async () => {
    const { url, exports } = await startCollector(401);
    const { tracing, lines } = await open({ otelExporterOtlpEndpoint: url });
    for (let n = 0; n < 1024; n++) span(tracing, 'one');
    await eventually(() => exports.length === 2, { what: 'two batches' });
    await tracing.stop();
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ level: 40, msg: 'traces do not get to the collector: they are lost' });
  });

  it('hold up no stop for longer than two seconds', async () => {
    const { url, exports } = await startCollector(null);
    const clock = new VirtualClock();
    const { tracing } = await open({ otelExporterOtlpEndpoint: url }, clock);
    span(tracing, 'one');
    let stopped = false;
    const stop = tracing.stop().then(() => {
      stopped = true;
    });
    await eventually(() => exports.length === 1, { what: 'the last batch' });
    await clock.advance(1999);
    expect(stopped).toBe(false);
    await clock.advance(1);
    await stop;
  });

  it('are nothing without one', async () => {
    const { tracing } = await open({});
    expect(tracing.tracer).toBeNull();
    await tracing.start();
    await tracing.stop();
  });
});

describe('a gateway', () => {
  it('sends the trace of a job to its collector', async () => {
    const { url, exports } = await startCollector();
    const gateway = await startGateway({ config: { otelExporterOtlpEndpoint: url } });
    const { id } = await submitGraph(gateway.client, sleepGraph({ seconds: 0.05 }));
    await ended(gateway.client, id);
    await gateway.halt();
    const spans = exports.flatMap((one) => one.spans);
    const submit = spans.find(({ name }) => name === 'graphql mutation submitJob');
    const names = spans.filter(({ traceId }) => traceId === submit?.traceId).map(({ name }) => name);
    expect(new Set(names)).toEqual(
      new Set([
        'graphql mutation submitJob',
        'job.queued',
        'attempt',
        'comfyui.post_prompt',
        'comfyui.run',
        'outputs.collect',
      ]),
    );
  });

  it('that is killed goes on in the same trace after the next start', async () => {
    const { url, exports } = await startCollector();
    const simulator = await startSimulator();
    onTestFinished(() => simulator.stop());
    const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-traces-'));
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: url };
    const sent = (name: string) => exports.flatMap((one) => one.spans).find((one) => one.name === name);

    const first = await startGatewayProcess(dataDir, [simulator.url], env);
    const client = new TestClient(first.url);
    onTestFinished(() => client.close());
    const { id } = await submitGraph(client, sleepGraph({ seconds: 120, steps: 1200 }));
    const request = await eventually(() => sent('graphql mutation submitJob'), { what: 'the request' });
    await jobThat(client, id, ({ progress }) => progress.fraction > 0);
    await first.end('SIGKILL');

    const second = await startGatewayProcess(dataDir, [simulator.url], env);
    const again = new TestClient(second.url);
    onTestFinished(() => again.close());
    expect(await act(again, 'cancelJob', id)).toMatchObject({ job: { status: 'CANCELED' } });
    const attempt = await eventually(() => sent('attempt'), { what: 'the attempt', withinMs: 30_000 });
    expect(attempt).toMatchObject({ traceId: request.traceId, parentSpanId: request.spanId });
    const attributes = new Map(attempt.attributes.map(({ key, value }) => [key, value]));
    expect(attributes.get('comfyfleet.attempt.adopted')).toEqual({ boolValue: true });
    expect(attributes.get('comfyfleet.attempt.outcome')).toEqual({ stringValue: 'canceled' });
    await second.end('SIGTERM');
  }, 60_000);

  it.each([
    ['hangs', null],
    ['refuses', 500],
  ])('runs jobs and stops while its collector %s', async (_what, status) => {
    const { url, exports } = await startCollector(status);
    const gateway = await startGateway({ config: { otelExporterOtlpEndpoint: url } });
    for (let salt = 0; salt < 3; salt++) {
      const { id } = await submitGraph(gateway.client, sleepGraph({ seconds: 0, salt }));
      expect(await ended(gateway.client, id)).toMatchObject({ status: 'COMPLETED' });
    }
    await gateway.halt();
    expect(exports.length).toBeGreaterThan(0);
  });

  it('runs jobs and stops where there is no collector', async () => {
    const gateway = await startGateway({ config: { otelExporterOtlpEndpoint: 'http://127.0.0.1:1' } });
    const { id } = await submitGraph(gateway.client, sleepGraph({ seconds: 0 }));
    expect(await ended(gateway.client, id)).toMatchObject({ status: 'COMPLETED' });
    await gateway.halt();
  });
});
