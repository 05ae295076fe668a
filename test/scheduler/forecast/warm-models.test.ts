import { describe, expect, it } from 'vitest';
import type { Expectation } from '../../../src/scheduler/forecast/expectation.ts';
import { RunEstimates } from '../../../src/scheduler/forecast/run-estimates.ts';
import { WarmModels } from '../../../src/scheduler/forecast/warm-models.ts';
import { warmthOf } from '../../../src/scheduler/forecast/warmth.ts';
import { lognormal, seeded } from './noise.ts';

describe('what an instance has in memory', () => {
  it('is what it used last, until more is learnt', () => {
    const memory = new WarmModels();
    memory.used('a', ['flux', 'lora']);
    memory.used('a', ['sdxl']);
    expect(memory.loaded('a')).toEqual(['sdxl']);
    expect(memory.isWarm('a', ['flux', 'lora'])).toBe(false);
    memory.learn('a', memory.depth('a', ['flux', 'lora']), 'warm');
    expect(memory.loaded('a')).toEqual(['sdxl', 'flux', 'lora']);
    memory.learn('a', 2, 'cold');
    expect(memory.loaded('a')).toEqual(['sdxl']);
  });

  it('is warm for a job that names no model, or a part of what is there', () => {
    const memory = new WarmModels();
    expect(memory.isWarm('a', [])).toBe(true);
    memory.used('a', ['flux', 'lora']);
    expect(memory.isWarm('a', ['flux'])).toBe(true);
    expect(memory.isWarm('a', ['flux', 'other'])).toBe(false);
  });

  it('is forgotten when it restarts, but not how much it holds', () => {
    const memory = new WarmModels();
    for (const model of ['x', 'y']) memory.used('a', [model]);
    memory.learn('a', 2, 'warm');
    memory.forget('a');
    expect(memory.loaded('a')).toEqual([]);
    for (const model of ['x', 'y', 'z']) memory.used('a', [model]);
    expect(memory.loaded('a')).toEqual(['z', 'y']);
  });

  it('is the same list until it changes', () => {
    const memory = new WarmModels();
    memory.used('a', ['x']);
    const before = memory.loaded('a');
    memory.used('a', ['x']);
    expect(memory.loaded('a')).toBe(before);
    memory.used('a', ['y']);
    expect(memory.loaded('a')).not.toBe(before);
  });

  it.each([1, 2, 3])('is found out by run times, where %d sets fit', (holds) => {
    let right = 0;
    let asked = 0;
    for (let seed = 1; seed <= 10; seed++) {
      const random = seeded(seed);
      const factor = lognormal(random, 0.25);
      const memory = new WarmModels();
      const estimates = new RunEstimates();
      let resident: string[] = [];
      for (let n = 0; n < 400; n++) {
        const model = `m${Math.floor(random() ** 2 * 5)}`;
        const isWarm = resident.includes(model);
        resident = [model, ...resident.filter((other) => other !== model)].slice(0, holds);
        const took = 10_000 * factor() + (isWarm ? 0 : 12_000 * factor());
        const believed = memory.isWarm('a', [model]);
        const start = { workflow: 'w', needsKey: model, instanceId: 'a', models: [model] };
        const depth = memory.depth('a', [model]);
        const expectation: Expectation = { ...start, depth, warmth: believed ? 'warm' : 'cold', runMs: null };
        memory.used('a', [model]);
        const warmth = warmthOf(expectation, took, estimates);
        memory.learn('a', depth, warmth);
        estimates.observe(start, 'a', took, warmth);
        if (n < 100) continue;
        asked++;
        if (believed === isWarm) right++;
      }
    }
    expect(right / asked).toBeGreaterThan(0.94);
  });
});
