import { describe, expect, it } from 'vitest';
import type { HealthReport } from '../../src/graphql/health-report.ts';
import { StatusLines } from '../../src/http/status-line.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const REPORT: HealthReport = {
  ...{ status: 'HEALTHY', version: '1.2.3', uptimeMs: 5999 },
  ...{ instancesTotal: 2, instancesHealthy: 2, activeJobs: 1 },
  checks: [{ name: 'store', ok: true, message: null }],
};
const LINE = 'HEALTHY instances 2/2 jobs 1 up 5s version 1.2.3';

function lines() {
  const clock = new VirtualClock();
  const waiting: ((report: HealthReport) => void)[] = [];
  const health = (): Promise<HealthReport> => new Promise((resolve) => waiting.push(resolve));
  return { clock, waiting, status: new StatusLines({ clock, health }) };
}

describe('the status line', () => {
  it('says how it is, and names what is not well', async () => {
    const { status, waiting } = lines();
    const well = status.now();
    waiting.shift()?.(REPORT);
    expect(await well).toEqual({ status: 'HEALTHY', line: LINE });
    const ill = status.now();
    const names = ['instances', ...Array.from({ length: 6 }, (_, n) => `instance gpu${n}`)];
    const failing = names.map((name) => ({ name, ok: false, message: 'away' }));
    waiting.shift()?.({ ...REPORT, status: 'DEGRADED', checks: [...REPORT.checks, ...failing] });
    expect((await ill).line).toMatch(/ failing: instances, instance gpu0, .*gpu3 and 2 more$/);
  });

  it('comes of one report for all who ask while it is made', async () => {
    const { status, waiting } = lines();
    const all = Promise.all([status.now(), status.now(), status.now()]);
    expect(waiting).toHaveLength(1);
    waiting.shift()?.(REPORT);
    expect((await all).map(({ line }) => line)).toEqual([LINE, LINE, LINE]);
    void status.now();
    expect(waiting).toHaveLength(1);
  });

  it('comes soon while the store is slow: of the last report if that is recent, else it says so', async () => {
    const { status, waiting, clock } = lines();
    const first = status.now();
    await clock.advance(500);
    expect(await first).toEqual({
      status: 'DEGRADED',
      line: 'DEGRADED no report within 500 ms: the store is slow',
    });
    waiting.shift()?.(REPORT);
    await clock.advance(2000);
    const second = status.now();
    await clock.advance(500);
    expect(await second).toEqual({ status: 'HEALTHY', line: `${LINE}, 3s ago` });
    await clock.advance(10_000);
    const third = status.now();
    await clock.advance(500);
    expect((await third).status).toBe('DEGRADED');
    expect(clock.pending).toBe(0);
  });

  it('comes when the report cannot be made at all', async () => {
    const clock = new VirtualClock();
    const status = new StatusLines({ clock, health: () => Promise.reject(new Error('a mistake')) });
    expect((await status.now()).status).toBe('DEGRADED');
    expect((await status.now()).status).toBe('DEGRADED');
  });
});
