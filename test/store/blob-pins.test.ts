import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DOUBT_MS, RemovalInDoubt } from '../../src/domain/blob-guard.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createIds } from '../../src/lib/ids.ts';
import { SqlBlobGuard } from '../../src/store/blob-pins.ts';
import type { Store } from '../../src/store/open.ts';
import { eventually } from '../support/eventually.ts';
import { openTempStore, type TempStore } from '../support/temp-store.ts';

const SHA = createHash('sha256').update('a blob').digest('hex');

let temp: TempStore;
/** Two processes on one database. */
let here: SqlBlobGuard;
let there: SqlBlobGuard;
beforeEach(async () => {
  temp = await openTempStore('Postgres');
  here = guardOf(temp.store);
  there = guardOf(await temp.openAnother());
});
afterEach(() => temp.close());

function guardOf(store: Store): SqlBlobGuard {
  return new SqlBlobGuard({ store, clock: systemClock, ids: createIds(systemClock) });
}

const pins = (): Promise<unknown[]> => temp.store.db.selectFrom('blob_pins').selectAll().execute();

describe('SqlBlobGuard', () => {
  it('keeps what one process pinned from being removed by another, until every pin is released', async () => {
    const work = async () => 'removed';
    expect(await there.unlessPinned('acme', SHA, work)).toBe('removed');
    const [one, two] = [await here.pin('acme', SHA), await here.pin('acme', SHA)];
    expect(await there.unlessPinned('acme', SHA, work)).toBeNull();
    one.release();
    one.release();
    await eventually(async () => (await pins()).length === 1);
    expect(await there.unlessPinned('acme', SHA, work)).toBeNull();
    two.release();
    await eventually(async () => (await pins()).length === 0);
    expect(await there.unlessPinned('acme', SHA, work)).toBe('removed');
  });

  it('removes what was released a moment ago', async () => {
    for (let round = 0; round < 20; round++) {
      (await here.pin('acme', SHA)).release();
      expect(await here.unlessPinned('acme', SHA, async () => 'removed')).toBe('removed');
    }
  });

  it('does not mix up tenants', async () => {
    await here.pin('acme', SHA);
    expect(await there.unlessPinned('other', SHA, async () => 'removed')).toBe('removed');
  });

  it('pins nothing while another process removes it', async () => {
    const order: string[] = [];
    let pinning: Promise<unknown> | undefined;
    await there.unlessPinned('acme', SHA, async () => {
      pinning = here.pin('acme', SHA).then(() => order.push('pinned'));
      // other blobs are not held up
      for (let n = 0; n < 20; n++) (await here.pin('acme', `${n}`)).release();
      order.push('removed');
    });
    await pinning;
    expect(order).toEqual(['removed', 'pinned']);
  });

  it('forgets the pins of a dead process after an hour', async () => {
    await here.pin('acme', SHA);
    await temp.store.db
      .updateTable('blob_pins')
      .set((eb) => ({ expires_at: eb('expires_at', '-', 3_600_000) }))
      .execute();
    expect(await there.unlessPinned('acme', SHA, async () => 'removed')).toBe('removed');
    await eventually(async () => (await pins()).length === 0);
  });

  it('pins nothing for a while, in no process, once nobody knows whether a removal takes place', async () => {
    const lost = new RemovalInDoubt('no answer');
    for (let time = 0; time < 2; time++) {
      await expect(here.unlessPinned('acme', SHA, async () => Promise.reject(lost))).rejects.toBe(lost);
      await expect(here.pin('acme', SHA)).rejects.toThrow('in doubt');
      await expect(there.pin('acme', SHA)).rejects.toThrow('in doubt');
      expect(await there.unlessPinned('acme', SHA, async () => 'removed')).toBeNull();
      (await there.pin('other', SHA)).release();
      await temp.store.db
        .updateTable('blob_pins')
        .set((eb) => ({ expires_at: eb('expires_at', '-', DOUBT_MS) }))
        .execute();
      const pin = await there.pin('acme', SHA);
      expect(await here.unlessPinned('acme', SHA, async () => 'removed')).toBeNull();
      pin.release();
      await eventually(async () => (await there.unlessPinned('acme', SHA, async () => 'removed')) !== null);
    }
  });

  it('lets go when the work fails', async () => {
    const failing = here.unlessPinned('acme', SHA, async () => Promise.reject(new Error('the disk broke')));
    await expect(failing).rejects.toThrow('the disk broke');
    (await there.pin('acme', SHA)).release();
  });

  it('never takes all connections for removals that wait for one', async () => {
    const work = async (): Promise<boolean> => {
      await temp.store.db.selectFrom('settings').selectAll().execute();
      return true;
    };
    const many = Array.from({ length: 50 }, () => randomBytes(32).toString('hex'));
    const done = await Promise.all(many.map((sha256) => here.unlessPinned('acme', sha256, work)));
    expect(done.every(Boolean)).toBe(true);
  });
});
