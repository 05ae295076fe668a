import { describe, expect, it } from 'vitest';
import { NO_LIMITS } from '../../../src/domain/tenant-limits.ts';
import { cappedTenants } from '../../../src/scheduler/forecast/capped-tenants.ts';

describe('tenants at their cap', () => {
  it('are those that wait with as many at work as they may, each once, those that may have none as well', () => {
    const caps: Record<string, number | null> = { full: 2, room: 2, none: 0, free: null };
    const limitsOf = (tenant: string) => ({ ...NO_LIMITS, maxRunning: caps[tenant] ?? null });
    const running = ['full', 'full', 'room', 'free', 'idle'].map((tenant) => ({ tenant, endsAt: null }));
    expect(cappedTenants(['full', 'room', 'none', 'free', 'full'], { running, limitsOf })).toEqual([
      ['full', 2],
      ['none', 0],
    ]);
  });
});
