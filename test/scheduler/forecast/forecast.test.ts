import { describe, expect, it } from 'vitest';
import { sameForAll } from '../../../src/domain/tenant-limits.ts';
import { Forecast, type ForecastState } from '../../../src/scheduler/forecast/forecast.ts';
import { NO_ESTIMATES } from '../../../src/scheduler/planning/estimates.ts';
import { candidate } from '../planning/candidate.ts';

const NOW = 1_000_000;
const FLUX = { tenant: 'a', workflow: 'w', needsKey: 'flux' };
const SDXL = { tenant: 'b', workflow: 'w', needsKey: 'sdxl' };
const needs = new Map(['flux', 'sdxl'].map((model) => [model, { nodeTypes: [], models: [model] }] as const));

/** Runs take 10 s, loading 6 s. */
function forecast(fields: Partial<ForecastState> = {}): Forecast {
  return new Forecast({
    candidates: [candidate({ id: 'one', loadedModels: ['flux'] })],
    needs,
    estimates: { runMs: () => 10_000, loadMs: () => 6000 },
    usualMs: 10_000,
    limitsOf: sameForAll,
    running: [],
    maxConcurrentJobs: null,
    now: NOW,
    ...fields,
  });
}

/** Starts from now, in seconds. */
function starts(of: Forecast, jobs: readonly (typeof FLUX)[]): (number | null)[] {
  return jobs.map((job) => {
    const at = of.place(job);
    return at === null ? null : (at - NOW) / 1000;
  });
}

describe('a forecast', () => {
  it('has one job follow the other, with loading in between', () => {
    const ahead = forecast();
    expect(starts(ahead, [FLUX, SDXL, FLUX])).toEqual([0, 10, 26]);
    expect(ahead.doneAt).toBe(NOW + 42_000);
  });

  it('begins when what runs has ended', () => {
    const busy = candidate({ takenSlots: [0], endsAt: [NOW + 5000], loadedModels: ['flux'] });
    expect(starts(forecast({ candidates: [busy] }), [FLUX])).toEqual([5]);
  });

  it('has a job wait for its models when that is sooner than loading, and leaves no free place empty', () => {
    const warm = candidate({ id: 'w', takenSlots: [0], endsAt: [NOW + 3000], loadedModels: ['flux'] });
    const soon = candidate({ id: 's', takenSlots: [0], endsAt: [NOW + 1000] });
    const free = candidate({ id: 'f' });
    expect(starts(forecast({ candidates: [warm, soon] }), [FLUX])).toEqual([3]);
    expect(starts(forecast({ candidates: [warm, free] }), [FLUX])).toEqual([0]);
  });

  it('knows no start of what no instance can run, nor on instances that take no part', () => {
    const inventory = { nodeTypes: [], models: [{ kind: 'checkpoints', name: 'flux' }] };
    const able = forecast({ candidates: [candidate({ inventory }), candidate({ id: 'd', draining: true })] });
    expect(starts(able, [SDXL, FLUX])).toEqual([null, 0]);
    expect(able.isStranded(SDXL)).toBe(true);
    expect(able.isStranded(FLUX)).toBe(false);
  });

  it('keeps to the caps of a tenant and of the fleet', () => {
    const candidates = ['x', 'y', 'z'].map((id) => candidate({ id, loadedModels: ['flux', 'sdxl'] }));
    const limitsOf = (tenant: string) => ({
      weight: 1,
      maxQueued: null,
      maxRunning: tenant === 'a' ? 1 : null,
    });
    expect(starts(forecast({ candidates, limitsOf }), [FLUX, FLUX, SDXL])).toEqual([0, 10, 0]);
    const running = [{ tenant: 'c', endsAt: NOW + 4000 }];
    expect(starts(forecast({ candidates, running, maxConcurrentJobs: 2 }), [FLUX, FLUX])).toEqual([0, 4]);
  });

  it('knows what can start now and nothing more while nothing was learnt', () => {
    const unknown = forecast({ estimates: NO_ESTIMATES, usualMs: null });
    expect(starts(unknown, [FLUX, FLUX])).toEqual([0, null]);
    expect(unknown.doneAt).toBeNull();
  });

  it('reckons unknown work like the usual', () => {
    const ahead = forecast({ estimates: NO_ESTIMATES, usualMs: 7000 });
    expect(starts(ahead, [FLUX, FLUX])).toEqual([0, 7]);
  });
});
