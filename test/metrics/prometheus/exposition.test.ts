import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createLogger } from '../../../src/lib/logger.ts';
import { Exposition } from '../../../src/metrics/prometheus/exposition.ts';
import { PREFIX } from '../../../src/metrics/prometheus/names.ts';
import { ProcessFigures } from '../../../src/metrics/prometheus/process-figures.ts';
import type { Store } from '../../../src/store/open.ts';
import { putJob } from '../../support/job-rows.ts';
import { parsePrometheus, sampleValue } from '../../support/prometheus-text.ts';
import { openTempStore } from '../../support/temp-store.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

let clock: VirtualClock;
let figures: ProcessFigures;
let leads: boolean;
let store: Pick<Store, 'db' | 'healthy'>;
/** Statements so far. */
let asked: number;

beforeEach(async () => {
  clock = new VirtualClock();
  figures = new ProcessFigures();
  leads = true;
  const temp = await openTempStore();
  onTestFinished(() => temp.close());
  asked = 0;
  temp.store.onQuery(() => asked++);
  store = temp.store;
});

function exposition(options: { readonly scheduler?: boolean } = {}): Exposition {
  return new Exposition({
    figures,
    store,
    bus: { healthy: () => true },
    clock,
    logger: createLogger('silent'),
    leads: options.scheduler === false ? undefined : () => leads,
  });
}

/** As time goes by. */
async function scrape(made: Exposition, ms = 0) {
  const text = made.text();
  await clock.advance(ms);
  const metrics = parsePrometheus(await text);
  return (name: string, labels = {}) => sampleValue(metrics, `${PREFIX}${name}`, labels);
}

/** From now on the database does this before it answers. Returns the way back. */
function before(act: () => Promise<void>): () => void {
  const { db } = store;
  const original = db.executeQuery;
  const acting = async (...args: Parameters<typeof original>) => {
    await act();
    return original.apply(db, args);
  };
  Object.assign(db, { executeQuery: acting });
  return () => void Object.assign(db, { executeQuery: original });
}

/** A database that holds every statement until it is let go on. */
function hang(): { readonly letGo: () => void; readonly held: () => number } {
  let letGo = (): void => undefined;
  let held = 0;
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  before(() => {
    held++;
    return gate;
  });
  return { letGo: () => letGo(), held: () => held };
}

describe('what /metrics answers', () => {
  it('is made once for all who ask within a second', async () => {
    const made = exposition();
    const texts = await Promise.all([made.text(), made.text(), made.text()]);
    expect(new Set(texts).size).toBe(1);
    const once = asked;
    await made.text();
    expect(asked).toBe(once);
    await clock.advance(1000);
    await made.text();
    expect(asked).toBe(2 * once);
  });

  it('tells of the fleet where the process leads, as long as it does', async () => {
    await putJob(store.db, { id: 'a' });
    const made = exposition();
    const leading = await scrape(made);
    expect([leading('leader'), leading('queue_depth'), leading('fleet_figures_stale')]).toEqual([1, 1, 0]);
    leads = false;
    await clock.advance(1000);
    const standby = await scrape(made);
    expect([standby('leader'), standby('queue_depth'), standby('fleet_figures_stale')]).toEqual([
      0,
      undefined,
      undefined,
    ]);
    expect(standby('store_up')).toBe(1);
  });

  it('says nothing of a leader or the fleet where there is no scheduler', async () => {
    const api = await scrape(exposition({ scheduler: false }));
    expect([api('leader'), api('queue_depth'), api('fleet_figures_stale')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect([api('store_up'), api('bus_connected')]).toEqual([1, 1]);
  });

  it('comes in time without the database, of the process only, and says so; then as before', async () => {
    const { letGo } = hang();
    const made = exposition();
    const without = await scrape(made, 3000);
    expect(without('fleet_figures_stale')).toBe(1);
    expect(without('queue_depth')).toBeUndefined();
    expect(without('websocket_connections')).toBe(0);
    letGo();
    await clock.advance(1000);
    const back = await scrape(made);
    expect([back('fleet_figures_stale'), back('queue_depth')]).toEqual([0, 0]);
  });

  it('asks a database that does not answer once, not anew for every scrape', async () => {
    const { held } = hang();
    const made = exposition();
    for (let n = 0; n < 3; n++) await scrape(made, 4000);
    expect(held()).toBe(1);
  });

  it('repeats what it knew of the fleet for a minute, and says that it is old', async () => {
    const made = exposition();
    await scrape(made);
    before(() => Promise.reject(new Error('away')));
    await clock.advance(30_000);
    const old = await scrape(made);
    expect([old('queue_depth'), old('fleet_figures_stale')]).toEqual([0, 1]);
    await clock.advance(31_000);
    const none = await scrape(made);
    expect([none('queue_depth'), none('fleet_figures_stale')]).toEqual([undefined, 1]);
  });
});

describe('what a process counts', () => {
  it('is told by operation, request, subscription, socket, lost message, upload and call', async () => {
    const made = exposition();
    figures.onOperation({ type: 'query', transport: 'http', outcome: 'ok', codes: [], ms: 20 });
    figures.onOperation({
      ...{ type: null, transport: 'http', outcome: 'error', ms: 1 },
      codes: ['BAD_USER_INPUT', 'NOT_FOUND'],
    });
    figures.onRequest({ route: '/graphql', method: 'POST', status: 200, ms: 20 });
    figures.onRequest({ route: null, method: 'PROPFIND', status: 404, ms: 1 });
    figures.onStream('job', 1);
    figures.onStream('job', 1);
    figures.onStream('job', -1);
    figures.onSocket(1);
    figures.onDropped('overflow', 257);
    figures.onUpload(1000);
    figures.onUpload(24);
    figures.onComfyRequest({ route: '/history/{id}', outcome: 'timeout', ms: 3000 });
    const of = await scrape(made);
    const operation = { operation_type: 'query', transport: 'http', outcome: 'ok' };
    expect(of('graphql_request_duration_seconds_count', operation)).toBe(1);
    expect(of('graphql_request_duration_seconds_sum', operation)).toBe(0.02);
    expect(of('graphql_request_duration_seconds_bucket', { ...operation, le: '0.01' })).toBe(0);
    expect(of('graphql_request_duration_seconds_bucket', { ...operation, le: '0.025' })).toBe(1);
    expect(of('graphql_errors_total', { code: 'NOT_FOUND' })).toBe(1);
    const unread = { operation_type: 'unknown', transport: 'http', outcome: 'error' };
    expect(of('graphql_request_duration_seconds_count', unread)).toBe(1);
    const request = { route: '/graphql', method: 'POST', status: '200' };
    expect(of('http_request_duration_seconds_count', request)).toBe(1);
    const astray = { route: 'none', method: 'other', status: '404' };
    expect(of('http_request_duration_seconds_count', astray)).toBe(1);
    expect(of('subscriptions_active', { field: 'job' })).toBe(1);
    expect(of('websocket_connections')).toBe(1);
    expect(of('dropped_events_total', { reason: 'overflow' })).toBe(257);
    expect(of('dropped_events_total', { reason: 'failed' })).toBe(0);
    expect(of('upload_bytes_total')).toBe(1024);
    const call = { route: '/history/{id}', outcome: 'timeout' };
    expect(of('comfyui_request_duration_seconds_count', call)).toBe(1);
  });
});
