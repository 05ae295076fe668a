import { describe, expect, it } from 'vitest';
import type { Warmth } from '../../../src/scheduler/forecast/run-estimates.ts';
import { WarmModels } from '../../../src/scheduler/forecast/warm-models.ts';

function learnTimes(memory: WarmModels, times: number, warmth: Warmth): void {
  for (let n = 0; n < times; n++) memory.learn('a', 2, warmth);
}

describe('what an instance has in memory', () => {
  it('is what it used last, until more is learnt', () => {
    const memory = new WarmModels();
    memory.used('a', ['flux', 'lora']);
    memory.used('a', ['sdxl']);
    expect(memory.loaded('a')).toEqual(['sdxl']);
    expect(memory.isWarm('a', ['flux', 'lora'])).toBe(false);
    expect(memory.depth('a', ['flux', 'lora'])).toBe(2);
    learnTimes(memory, 5, 'warm');
    expect(memory.loaded('a')).toEqual(['sdxl', 'flux', 'lora']);
    learnTimes(memory, 1, 'cold');
    expect(memory.loaded('a')).toEqual(['sdxl']);
  });

  it('is not believed for a few odd runs, nor held on to for ever', () => {
    const memory = new WarmModels();
    learnTimes(memory, 4, 'warm');
    expect(memory.knownAt('a', 2)).toBeNull();
    memory.learn('a', 2, null);
    expect(memory.knownAt('a', 2)).toBeNull();
    learnTimes(memory, 1000, 'warm');
    learnTimes(memory, 5, 'cold');
    expect(memory.knownAt('a', 2)).toBe('warm');
    learnTimes(memory, 10, 'cold');
    expect(memory.knownAt('a', 2)).toBe('cold');
    expect([null, 1].map((depth) => memory.knownAt('a', depth))).toEqual(['cold', 'warm']);
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
    learnTimes(memory, 5, 'warm');
    memory.forget('a');
    expect(memory.loaded('a')).toEqual([]);
    for (const model of ['x', 'y', 'z']) memory.used('a', [model]);
    expect(memory.loaded('a')).toEqual(['z', 'y']);
  });

  it('is as before when a job did not begin after all', () => {
    const memory = new WarmModels();
    for (const model of ['x', 'y', 'z']) memory.used('a', [model]);
    memory.used('a', ['new']);
    memory.unused('a', ['new'], null);
    expect(memory.depth('a', ['new'])).toBeNull();
    memory.used('a', ['x']);
    memory.unused('a', ['x'], 3);
    expect(['z', 'y', 'x'].map((model) => memory.depth('a', [model]))).toEqual([1, 2, 3]);
    memory.used('a', ['x']);
    memory.forget('a');
    memory.unused('a', ['x'], 3);
    expect(memory.loaded('a')).toEqual([]);
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
});
