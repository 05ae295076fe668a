import { afterEach, beforeEach, expect, it } from 'vitest';
import { droppedBlobs, noteDropped } from '../../src/store/blobs.ts';
import { openTempStore, type TempStore } from '../support/temp-store.ts';
import { othersWaitForLocks } from '../support/waiting-lock.ts';

let temp: TempStore;
beforeEach(async () => {
  temp = await openTempStore('Postgres');
});
afterEach(() => temp.close());

it('blobs that several transactions note at once, found in different orders, make none wait for ever', async () => {
  const { db } = temp.store;
  const blob = (sha256: string) => ({ tenant: 't', sha256 });
  // past the store, which would do again what a deadlock undid
  const note = (names: readonly string[]) =>
    db.transaction().execute((tx) => noteDropped(tx, names.map(blob)));
  let noting: Promise<unknown> | undefined;
  await db.transaction().execute(async (tx) => {
    await noteDropped(tx, [blob('middle')]);
    noting = Promise.all([note(['a', 'middle', 'z']), note(['z', 'middle', 'a'])]);
    void noting.catch(() => undefined);
    await othersWaitForLocks(tx, 2);
  });
  await noting;
  expect((await droppedBlobs(db, 10)).map((each) => each.sha256)).toEqual(['a', 'middle', 'z']);
});
