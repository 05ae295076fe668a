import { describe, expect, it } from 'vitest';
import { FleetInventoryReader, firstModel, missingEverywhere } from '../../src/jobs/runnable.ts';
import { ENGINES } from '../support/temp-store.ts';
import { openRig } from './submission-rig.ts';

const needs = { nodeTypes: ['A', 'B'], models: ['m.ckpt'] };
const model = { kind: 'checkpoints', name: 'm.ckpt' };

describe('missingEverywhere', () => {
  it('is null for an empty fleet, for lists not read yet and when one instance has everything', () => {
    const bare = { nodeTypes: [], models: [] };
    expect(missingEverywhere(needs, [])).toBeNull();
    expect(missingEverywhere(needs, [bare, null])).toBeNull();
    expect(missingEverywhere(needs, [bare, { nodeTypes: ['B', 'A'], models: [model] }])).toBeNull();
  });

  it('names what the closest instance lacks when different ones lack different things', () => {
    const fleet = [
      { nodeTypes: [], models: [model] },
      { nodeTypes: ['A', 'B'], models: [] },
    ];
    expect(missingEverywhere(needs, fleet)).toEqual({ nodeTypes: [], models: ['m.ckpt'] });
  });
});

describe('firstModel', () => {
  it('is the first of its folder on the first instance that has one', () => {
    const lora = { kind: 'loras', name: 'l.safetensors' };
    const fleet = [null, { nodeTypes: [], models: [lora] }, { nodeTypes: [], models: [lora, model] }];
    expect(firstModel(fleet, 'checkpoints')).toBe('m.ckpt');
    expect(firstModel(fleet, 'loras')).toBe('l.safetensors');
    expect(firstModel(fleet, 'vae')).toBeNull();
  });
});

it.each(ENGINES)(
  'FleetInventoryReader reads a list once for as long as an instance has it, and sees every change (%s)',
  async (engine) => {
    const rig = await openRig(engine);
    const reader = new FleetInventoryReader(rig.store.db);
    const queries: string[] = [];
    rig.store.onQuery((sql) => queries.push(sql));
    const inventory = { nodeTypes: ['A'], models: [model] };
    expect(await reader.read()).toEqual([]);
    await rig.addInstance('b', inventory);
    await rig.addInstance('a', null);
    expect(await reader.read()).toEqual([null, inventory]);
    queries.length = 0;
    expect(await reader.read()).toEqual([null, inventory]);
    expect(queries).toHaveLength(1);
    await rig.addInstance('a', inventory);
    expect(await reader.read()).toEqual([inventory, inventory]);
    await rig.close();
  },
);
