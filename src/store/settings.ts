/** Values the gateway makes once and keeps, such as the key that signs file URLs. */
import type { Db } from './open.ts';

/** The stored value; null for none. */
export async function findSetting(db: Db, name: string): Promise<string | null> {
  const row = await db.selectFrom('settings').select('value').where('name', '=', name).executeTakeFirst();
  return row?.value ?? null;
}

/** Null takes it away. */
export async function saveSetting(db: Db, name: string, value: string | null): Promise<void> {
  if (value === null) {
    await db.deleteFrom('settings').where('name', '=', name).execute();
    return;
  }
  await db
    .insertInto('settings')
    .values({ name, value })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
    .execute();
}

/** The stored value; made and stored first when there is none. Of several callers at once all get the same. */
export async function settingOrCreate(db: Db, name: string, make: () => string): Promise<string> {
  const found = await findSetting(db, name);
  if (found !== null) return found;
  await db
    .insertInto('settings')
    .values({ name, value: make() })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const stored = await findSetting(db, name);
  if (stored === null) throw new Error(`the setting ${name} vanished while it was made`);
  return stored;
}
