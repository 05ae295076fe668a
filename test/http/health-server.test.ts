import { randomUUID } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { HealthReport } from '../../src/graphql/health-report.ts';
import { createHealthServer } from '../../src/http/health-server.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';

const REPORT: HealthReport = {
  status: 'HEALTHY',
  version: '1.2.3',
  uptimeMs: 5000,
  instancesTotal: 2,
  instancesHealthy: 2,
  activeJobs: 1,
  checks: [{ name: 'store', ok: true, message: null }],
};

async function start() {
  const logs: Record<string, unknown>[] = [];
  const state = { healthy: true, leads: true, report: REPORT };
  const server = createHealthServer({
    config: { host: '127.0.0.1', port: 0, trustProxy: false },
    ids: randomUUID,
    clock: systemClock,
    store: { healthy: async () => state.healthy },
    health: async () => state.report,
    leads: () => state.leads,
    logger: createLogger('debug', { write: (line) => void logs.push(JSON.parse(line)) }),
  });
  await server.start();
  onTestFinished(() => server.stop());
  const ask = async (path: string) => {
    const response = await fetch(`${server.url}${path}`);
    return { status: response.status, body: await response.text() };
  };
  return { server, state, ask, logs };
}

describe('the door of a process that schedules only', () => {
  it('says how the gateway is', async () => {
    const { ask, state } = await start();
    const health = await ask('/health');
    expect([health.status, JSON.parse(health.body)]).toEqual([200, REPORT]);
    const line = 'HEALTHY instances 2/2 jobs 1 up 5s version 1.2.3\n';
    expect(await ask('/status')).toEqual({ status: 200, body: line });
    state.report = { ...REPORT, status: 'CRITICAL' };
    expect((await ask('/health')).status).toBe(503);
    expect((await ask('/status')).status).toBe(503);
  });

  it('is ready as leader and as standby, while the store answers and until it is asked to stop', async () => {
    const { ask, state, server } = await start();
    expect(await ask('/live')).toEqual({ status: 200, body: '{"live":true}' });
    expect(await ask('/ready')).toEqual({ status: 200, body: '{"ready":true,"scheduler":"leader"}' });
    state.leads = false;
    expect(await ask('/ready')).toEqual({ status: 200, body: '{"ready":true,"scheduler":"standby"}' });
    state.healthy = false;
    expect((await ask('/ready')).status).toBe(503);
    state.healthy = true;
    server.drain();
    expect((await ask('/ready')).status).toBe(503);
    expect((await ask('/live')).status).toBe(200);
  });

  it('gives every answer an id, under which the log has it at level debug', async () => {
    const { server, logs } = await start();
    for (const path of ['/ready', '/nothing']) {
      const response = await fetch(`${server.url}${path}?a=secret`, {
        headers: { 'x-request-id': `id${path.length}` },
      });
      expect(response.headers.get('x-request-id')).toBe(`id${path.length}`);
    }
    const lines = logs.filter(({ msg }) => msg === 'request');
    expect(lines).toMatchObject([
      { level: 20, requestId: 'id6', client: '127.0.0.1', method: 'GET', path: '/ready', status: 200 },
      { level: 30, requestId: 'id8', path: '/nothing', status: 404 },
    ]);
    expect(JSON.stringify(logs)).not.toContain('secret');
  });

  it('serves nothing else', async () => {
    const { ask } = await start();
    for (const path of ['/graphql', '/files/a', '/'])
      expect(await ask(path)).toMatchObject({
        status: 404,
        body: expect.stringContaining('its health only'),
      });
  });
});
