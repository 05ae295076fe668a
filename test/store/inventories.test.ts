import { describe, expect, it } from 'vitest';
import type { Inventory } from '../../src/domain/capabilities.ts';
import { equippedFleet } from '../../src/store/equipped-fleet.ts';
import { removeInstance, upsertConfigured } from '../../src/store/instances.ts';
import { findInventories, Inventories, saveInventory } from '../../src/store/inventories.ts';
import { ENGINES, openTempStore } from '../support/temp-store.ts';

const lists: Inventory = {
  nodeTypes: ['LoraLoader'],
  models: [{ kind: 'loras', name: 'ink.safetensors' }],
  inputs: { lists: [['ink.safetensors']], offers: { 'LoraLoader.lora_name': 0 }, texts: [] },
};
const copy = (): Inventory => structuredClone(lists);

describe.each(ENGINES)('inventories on %s', (engine) => {
  async function open() {
    const temp = await openTempStore(engine);
    const { db } = temp.store;
    const add = async (name: string, key: string | null, inventory = copy()): Promise<string> => {
      const named = { id: name, name, url: `http://${name}:8188`, login: null, capacity: 1 };
      const { id } = await upsertConfigured(db, named, 1);
      if (key) await saveInventory(db, id, key, inventory, 2);
      return id;
    };
    return { temp, db, add };
  }

  it('are read once for as long as an instance has them, and every change is seen', async () => {
    const { temp, db, add } = await open();
    const inventories = new Inventories(db);
    expect(await equippedFleet({ ...temp.store, inventories })).toEqual([]);
    await add('b', 'one');
    await add('a', null);
    const read = async () =>
      (await equippedFleet({ ...temp.store, inventories })).map(({ inventory }) => inventory);
    expect(await read()).toEqual([null, lists]);
    const queries: string[] = [];
    temp.store.onQuery((sql) => queries.push(sql));
    expect(await read()).toEqual([null, lists]);
    expect(queries).toHaveLength(1);
    await add('a', 'two', { nodeTypes: ['A'], models: [] });
    expect(await read()).toEqual([{ nodeTypes: ['A'], models: [] }, lists]);
    await temp.close();
  });

  it('are one object for all that have the same, however they came', async () => {
    const { temp, db, add } = await open();
    const inventories = new Inventories(db);
    await add('a', 'same');
    await add('b', 'same');
    const [a, b] = await equippedFleet({ ...temp.store, inventories });
    expect(a?.inventory).toEqual(lists);
    expect(b?.inventory).toBe(a?.inventory);
    expect((await inventories.find(['same', 'same'])).get('same')).toBe(a?.inventory);
    expect(inventories.share('same', copy())).toBe(a?.inventory);
    await temp.close();
  });

  it('keeps rows only as long as an instance of the fleet has them', async () => {
    const { temp, db, add } = await open();
    const keys = async () => [...(await findInventories(db, ['old', 'new', 'last'])).keys()].sort();
    await add('a', 'old');
    const b = await add('b', 'old');
    await add('a', 'new');
    expect(await keys()).toEqual(['new', 'old']);
    await removeInstance(db, b, 3);
    await add('c', 'old');
    await add('c', 'last');
    expect(await keys()).toEqual(['last', 'new']);
    await temp.close();
  });

  it('are stored again when somebody else forgot them meanwhile', async () => {
    const { temp, db, add } = await open();
    await add('a', 'one');
    await db.deleteFrom('inventories').execute();
    await add('a', 'one');
    expect((await findInventories(db, ['one'])).get('one')).toEqual(lists);
    await temp.close();
  });

  it('of older versions say nothing of inputs', async () => {
    const { temp, db } = await open();
    const row = {
      inventory_key: 'k',
      node_types: '["A"]',
      models: '[{"kind":"loras","name":"x.pt"}]',
      inputs: null,
    };
    await db.insertInto('inventories').values(row).execute();
    expect((await findInventories(db, ['k'])).get('k')).toEqual({
      nodeTypes: ['A'],
      models: [{ kind: 'loras', name: 'x.pt' }],
    });
    await temp.close();
  });
});
