/** Values the gateway makes once and keeps, such as the key that signs file URLs. */
import type { Db } from './open.ts';

/** The stored value; made and stored first when there is none. Of several callers at once all get the same. */
export async function settingOrCreate(db: Db, name: string, make: () => string): Promise<string> {
  const find = () => db.selectFrom('settings').select('value').where('name', '=', name).executeTakeFirst();
  const found = await find();
  if (found) return found.value;
  await db
    .insertInto('settings')
    .values({ name, value: make() })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const row = await find();
  if (!row) throw new Error(`the setting ${name} vanished while it was made`);
  return row.value;
}
