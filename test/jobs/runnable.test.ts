import { describe, expect, it } from 'vitest';
import type { Inventory } from '../../src/domain/capabilities.ts';
import type { Instance } from '../../src/domain/instance.ts';
import { firstModel, shortageOf } from '../../src/jobs/runnable.ts';
import type { EquippedInstance } from '../../src/store/inventories.ts';

const needs = { nodeTypes: ['A', 'B'], models: ['m.ckpt'] };
const model = { kind: 'checkpoints', name: 'm.ckpt' };
const bare = { nodeTypes: [], models: [] };

/** Instances gpu-1, gpu-2 ... with these lists. */
function fleetOf(...inventories: (Inventory | null)[]): EquippedInstance[] {
  return inventories.map((inventory, index) => ({
    instance: { name: `gpu-${index + 1}` } as Instance,
    inventory,
  }));
}

describe('shortageOf', () => {
  it('is null for an empty fleet, for lists not read yet and when one instance has everything', () => {
    expect(shortageOf(needs, [])).toBeNull();
    expect(shortageOf(needs, fleetOf(bare, null))).toBeNull();
    expect(shortageOf(needs, fleetOf(bare, { nodeTypes: ['B', 'A'], models: [model] }))).toBeNull();
  });

  it('names exactly what no instance has, and nothing that some instance has', () => {
    const fleet = fleetOf({ nodeTypes: ['A'], models: [] }, { nodeTypes: ['B'], models: [] });
    expect(shortageOf(needs, fleet)).toEqual({
      missing: { nodeTypes: [], models: ['m.ckpt'] },
      closest: null,
    });
  });

  it('says which instance is closest, and what it lacks, when each thing is somewhere but nowhere all of them', () => {
    const fleet = fleetOf({ nodeTypes: [], models: [model] }, { nodeTypes: ['A', 'B'], models: [] });
    expect(shortageOf(needs, fleet)).toEqual({
      missing: { nodeTypes: [], models: ['m.ckpt'] },
      closest: 'gpu-2',
    });
  });
});

describe('firstModel', () => {
  it('is the first of its folder on the first instance that has one', () => {
    const lora = { kind: 'loras', name: 'l.safetensors' };
    const fleet = fleetOf(null, { nodeTypes: [], models: [lora] }, { nodeTypes: [], models: [lora, model] });
    expect(firstModel(fleet, 'checkpoints')).toBe('m.ckpt');
    expect(firstModel(fleet, 'loras')).toBe('l.safetensors');
    expect(firstModel(fleet, 'vae')).toBeNull();
  });
});
