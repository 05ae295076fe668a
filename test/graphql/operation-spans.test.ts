/** Spans of operations, whatever they come to, and where else their trace is told. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { SpanRecord } from '../support/span-record.ts';

describe('the span of an operation', () => {
  let spans: SpanRecord;
  let gateway: TestGateway;

  beforeEach(async () => {
    spans = new SpanRecord();
    gateway = await startGateway({}, { tracer: spans.open().tracer });
  });
  afterEach(() => gateway.stop());

  const only = () => {
    expect(spans.all()).toHaveLength(1);
    return spans.all()[0];
  };

  it('is named by its kind and its field, never by what its client calls it', async () => {
    await gateway.query('query AnyNameAtAll { again: health { status } jobs { totalCount } }');
    expect(only()).toMatchObject({
      name: 'graphql query health',
      kind: 1,
      attributes: { 'graphql.operation.type': 'query', 'graphql.operation.name': 'AnyNameAtAll' },
      status: { code: 0 },
    });
  });

  it('has the code of its error, and nothing else of it', async () => {
    await gateway.query('{ jobs(after: "nowhere") { totalCount } }');
    const { attributes, events, status } = only() ?? {};
    expect(attributes).toMatchObject({ 'error.type': 'BAD_USER_INPUT' });
    expect(status).toEqual({ code: 2 });
    expect(events).toEqual([]);
  });

  it('is none where nothing was executed', async () => {
    await gateway.query('{ nothingOfThisName }');
    await gateway.query('{');
    expect(spans.all()).toEqual([]);
  });

  it('of a subscription ends when its stream is there', async () => {
    const leave = new AbortController();
    const response = await fetch(gateway.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query: 'subscription { jobs { id } }' }),
      signal: leave.signal,
    });
    expect(response.status).toBe(200);
    expect(only()).toMatchObject({ name: 'graphql subscription jobs' });
    leave.abort();
  });

  it('ends with the operation also where its client left before', async () => {
    await gateway.addInstance('gpu1');
    const graph = '{ a: { class_type: "PreviewAny", inputs: {} } }';
    const query = `mutation { submitJob(input: { graph: ${graph}, waitMs: 60000 }) { __typename } }`;
    const leave = new AbortController();
    const asked = fetch(gateway.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
      signal: leave.signal,
    }).catch(({ name }) => name);
    const { job } = await eventually(() => gateway.logs.find(({ msg }) => msg === 'job submitted'));
    leave.abort();
    expect(await asked).toBe('AbortError');
    expect(spans.all()).toEqual([]);
    await gateway.recorder.cancel(defaultViewer, String(job));
    await eventually(() => spans.all().length > 0);
    expect(only()).toMatchObject({ name: 'graphql mutation submitJob' });
  });

  it('is found by the lines of its request in the log', async () => {
    await gateway.query(
      'mutation { cancelJob(input: { id: "Sm9iOng=" }) { __typename } }',
      {},
      { 'x-request-id': 'one' },
    );
    const { traceId } = only()?.spanContext() ?? {};
    const lines = await eventually(
      () => {
        const found = gateway.logs.filter(({ requestId }) => requestId === 'one');
        return found.some(({ msg }) => msg === 'request') && found;
      },
      { what: 'the line of the request' },
    );
    for (const line of lines) expect(line).toMatchObject({ requestId: 'one', traceId });
    expect(lines.map(({ msg }) => msg)).toContain('request');
  });
});
