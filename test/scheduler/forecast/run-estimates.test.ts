import { describe, expect, it } from 'vitest';
import { RunEstimates } from '../../../src/scheduler/forecast/run-estimates.ts';
import { lognormal, quantile, seeded } from './noise.ts';

const FLUX = { workflow: 'flux', needsKey: 'f' };
const SDXL = { workflow: 'sdxl', needsKey: 's' };

describe('estimates of run times', () => {
  it('know nothing of work that never ran', () => {
    const estimates = new RunEstimates();
    estimates.observe(FLUX, 'a', 1000, 'warm');
    expect(estimates.runMs(SDXL, 'a')).toBeNull();
    expect(estimates.loadMs(SDXL)).toBeNull();
    expect(estimates.loadMs(FLUX, 'a')).toBeNull();
  });

  it('tell loading from running', () => {
    const estimates = new RunEstimates();
    for (let n = 0; n < 10; n++) {
      estimates.observe(FLUX, 'a', 1000, 'warm');
      estimates.observe(FLUX, 'a', 9000, 'cold');
    }
    expect(estimates.runMs(FLUX, 'a')).toBeCloseTo(1000);
    expect(estimates.loadMs(FLUX, 'a')).toBeCloseTo(8000);
    expect(estimates.loadMs(FLUX, 'elsewhere')).toBeCloseTo(8000);
  });

  it('take a cold run for an upper bound while no warm one was seen', () => {
    const estimates = new RunEstimates();
    estimates.observe(FLUX, 'a', 9000, 'cold');
    expect(estimates.runMs(FLUX, 'a')).toBe(9000);
    expect(estimates.runMs(FLUX)).toBe(9000);
    expect(estimates.loadMs(FLUX, 'a')).toBeNull();
  });

  it('reckon by how fast an instance is with other work', () => {
    const estimates = new RunEstimates();
    for (let n = 0; n < 30; n++) {
      estimates.observe(SDXL, 'fast', 1000, 'warm');
      estimates.observe(SDXL, 'slow', 3000, 'warm');
      estimates.observe(FLUX, 'fast', 5000, 'warm');
    }
    const reckoned = estimates.runMs(FLUX, 'slow') ?? 0;
    expect(reckoned).toBeGreaterThan(13_500);
    expect(reckoned).toBeLessThan(16_500);
  });

  it('are not thrown by one odd run, and follow a lasting change', () => {
    const estimates = new RunEstimates();
    for (let n = 0; n < 20; n++) estimates.observe(FLUX, 'a', 1000, 'warm');
    estimates.observe(FLUX, 'a', 100_000, 'warm');
    expect(estimates.runMs(FLUX, 'a')).toBeLessThan(1500);
    for (let n = 0; n < 20; n++) estimates.observe(FLUX, 'a', 4000, 'warm');
    expect(estimates.runMs(FLUX, 'a')).toBeGreaterThan(3500);
  });

  it('hold a bounded number of classes, those used of late', () => {
    const estimates = new RunEstimates();
    for (let n = 0; n < 2100; n++) {
      estimates.observe({ workflow: 'w', needsKey: String(n) }, 'a', 1000, 'warm');
      estimates.observe({ workflow: 'w', needsKey: '0' }, 'a', 1000, 'warm');
    }
    expect(estimates.runMs({ workflow: 'w', needsKey: '0' }, 'a')).not.toBeNull();
    expect(estimates.runMs({ workflow: 'w', needsKey: '1' }, 'a')).toBeNull();
  });

  it.each([0.2, 0.25, 0.3])(
    'after 50 jobs of a workflow are off by 25 %% at the median and 60 %% at p90 at most (scatter %d)',
    (sigma) => {
      const errors: number[] = [];
      for (let seed = 1; seed <= 20; seed++) {
        const random = seeded(seed);
        const factor = lognormal(random, sigma);
        const speeds = Array.from({ length: 8 }, () => 0.6 + random() * 1.2);
        const works = Array.from({ length: 6 }, (_, n) => ({ workflow: `w${n}`, needsKey: `k${n}` }));
        const estimates = new RunEstimates();
        for (let n = 0; n < 6 * 100; n++) {
          const index = Math.floor(random() * works.length);
          const instance = Math.floor(random() * speeds.length);
          const [work, speed] = [works[index], speeds[instance]];
          if (!work || !speed) continue;
          const cold = random() < 0.25;
          const took = ((index + 1) * 4000 * factor()) / speed + (cold ? 8000 * factor() : 0);
          const id = String(instance);
          const expected = (estimates.runMs(work, id) ?? 0) + (cold ? (estimates.loadMs(work, id) ?? 0) : 0);
          if (n >= 6 * 50) errors.push(Math.abs(expected - took) / took);
          estimates.observe(work, id, took, cold ? 'cold' : 'warm');
        }
      }
      expect(quantile(errors, 0.5)).toBeLessThan(0.25);
      expect(quantile(errors, 0.9)).toBeLessThan(0.6);
    },
  );
});
