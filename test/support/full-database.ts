/** Makes SQLite answer as on a full disk, on any machine. */
import { sql } from 'kysely';
import type { Db } from '../../src/store/open.ts';

const ROOMY_PAGES = 1_000_000_000;

/** Not one page more fits from here on; answers the way to make room again. */
export async function fillDatabase(db: Db): Promise<() => Promise<void>> {
  const limit = (pages: number) => sql.raw(`PRAGMA max_page_count = ${pages}`).execute(db);
  // it never goes below the pages there are
  await limit(1);
  const filler: string[] = [];
  for (let size = 100_000; size >= 100; size /= 10) {
    for (;;) {
      const name = `filler ${size} ${filler.length}`;
      const value = 'x'.repeat(size);
      const fits = await db
        .insertInto('settings')
        .values({ name, value })
        .execute()
        .then(
          () => true,
          () => false,
        );
      if (!fits) break;
      filler.push(name);
    }
  }
  return async () => {
    await limit(ROOMY_PAGES);
    for (const name of filler) await db.deleteFrom('settings').where('name', '=', name).execute();
  };
}
