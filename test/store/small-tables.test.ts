/** Instances, needs, settings and uploads: the small tables. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  findClientId,
  findInstances,
  listInstances,
  removeInstance,
  saveHealth,
  setClientId,
  upsertConfigured,
} from '../../src/store/instances.ts';
import { findInventories, saveInventory } from '../../src/store/inventories.ts';
import { blockedReasons, findNeeds, saveNeeds, setBlocked } from '../../src/store/needs.ts';
import type { Db } from '../../src/store/open.ts';
import { settingOrCreate } from '../../src/store/settings.ts';
import { findUpload, insertUpload } from '../../src/store/uploads.ts';
import { ENGINES, openTempStore, type TempStore } from '../support/temp-store.ts';

let temp: TempStore;
let db: Db;
describe.each(ENGINES)('on %s', (engine) => {
  beforeEach(async () => {
    temp = await openTempStore(engine);
    db = temp.store.db;
  });
  afterEach(() => temp.close());

  const gpu = { id: 'i1', name: 'gpu-1', url: 'http://gpu:8188', capacity: 1 };

  describe('instances', () => {
    it('keep their id and health when they are configured again', async () => {
      const first = await upsertConfigured(db, gpu, 1);
      expect(first).toMatchObject({ id: 'i1', health: 'UNKNOWN', createdAt: 1 });
      await saveHealth(db, 'i1', { health: 'HEALTHY', responseMs: 1.5, lastSeenAt: 2 }, 2);
      const again = await upsertConfigured(db, { ...gpu, id: 'i2', name: 'big', capacity: 2 }, 3);
      expect(again).toMatchObject({ id: 'i1', name: 'big', capacity: 2, health: 'HEALTHY', responseMs: 1.5 });
      expect(await listInstances(db)).toEqual([again]);
    });

    it('change only in what a probe found', async () => {
      await upsertConfigured(db, gpu, 1);
      await saveHealth(db, 'i1', { health: 'HEALTHY', gpu: 'RTX', upSince: 5 }, 5);
      const later = await saveHealth(
        db,
        'i1',
        { health: 'UNHEALTHY', upSince: null, lastError: 'refused' },
        6,
      );
      expect(later).toMatchObject({
        health: 'UNHEALTHY',
        gpu: 'RTX',
        upSince: null,
        lastError: 'refused',
        updatedAt: 6,
      });
    });

    it('leave the fleet but not the records, and may come back as new ones', async () => {
      await upsertConfigured(db, gpu, 1);
      expect(await removeInstance(db, 'i1', 2)).toBe(true);
      expect(await removeInstance(db, 'i1', 3)).toBe(false);
      expect(await saveHealth(db, 'i1', { health: 'HEALTHY' }, 3)).toBeNull();
      expect(await listInstances(db)).toEqual([]);
      expect(await listInstances(db, { includeRemoved: true })).toMatchObject([{ id: 'i1', removedAt: 2 }]);
      expect(await findInstances(db, ['i1', 'nothing'])).toHaveLength(1);
      expect(await upsertConfigured(db, { ...gpu, id: 'i2' }, 4)).toMatchObject({ id: 'i2' });
    });

    it('share an inventory that is the same', async () => {
      const inventory = { nodeTypes: ['KSampler'], models: [{ kind: 'checkpoints', name: 'a.safetensors' }] };
      for (const id of ['i1', 'i2']) {
        await upsertConfigured(db, { ...gpu, id, url: id }, 1);
        await saveInventory(db, id, 'key', inventory, 2);
      }
      expect(await listInstances(db)).toMatchObject([{ inventoryKey: 'key' }, { inventoryKey: 'key' }]);
      expect(await findInventories(db, ['key', 'none'])).toEqual(new Map([['key', inventory]]));
      expect(await db.selectFrom('inventories').selectAll().execute()).toHaveLength(1);
    });

    it('remember the client id of their socket', async () => {
      await upsertConfigured(db, gpu, 1);
      expect(await findClientId(db, 'i1')).toBeNull();
      await setClientId(db, 'i1', 'c');
      expect(await findClientId(db, 'i1')).toBe('c');
    });
  });

  describe('needs', () => {
    it('are stored once and tell why their jobs wait, until nothing is in the way', async () => {
      const needs = { nodeTypes: ['KSampler'], models: ['a.safetensors'] };
      await saveNeeds(db, 'k', needs);
      await saveNeeds(db, 'k', { nodeTypes: [], models: [] });
      expect(await findNeeds(db, ['k', 'none'])).toEqual(new Map([['k', needs]]));
      expect(await blockedReasons(db, ['k'])).toEqual(new Map());
      expect(await setBlocked(db, 'k', 'no instance is healthy', 1)).toBe(true);
      expect(await setBlocked(db, 'k', 'no instance is healthy', 2)).toBe(false);
      expect(await blockedReasons(db, ['k'])).toEqual(new Map([['k', 'no instance is healthy']]));
      expect(await setBlocked(db, 'k', null, 3)).toBe(true);
      expect(await blockedReasons(db, ['k'])).toEqual(new Map());
    });
  });

  describe('settings', () => {
    it('are made once for all who ask', async () => {
      let made = 0;
      const ask = () => settingOrCreate(db, 'key', () => `value ${made++}`);
      const values = await Promise.all([ask(), ask(), ask()]);
      expect(new Set(values).size).toBe(1);
    });
  });

  describe('uploads', () => {
    it('are found by their tenant only', async () => {
      const upload = {
        id: 'u',
        tenant: 'a',
        user: null,
        filename: 'Katze \u0000.png',
        mimeType: 'image/png',
        width: 1,
        height: 2,
        bytes: 3,
        sha256: 's',
        createdAt: 4,
      };
      await insertUpload(db, upload);
      const stored = { ...upload, filename: 'Katze \uFFFD.png' };
      expect(await findUpload(db, { tenant: 'a', user: 'x' }, 'u')).toEqual(stored);
      expect(await findUpload(db, { tenant: 'b', user: null }, 'u')).toBeNull();
      expect(await findUpload(db, 'any', 'u')).toEqual(stored);
    });
  });
});
