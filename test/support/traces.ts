/** What a gateway has kept: how many rows in each table, which files in its data folder. Read beside the running gateway. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'libsql';

export interface Traces {
  readonly rows: Readonly<Record<string, number>>;
  readonly files: readonly string[];
}

export async function tracesIn(dataDir: string): Promise<Traces> {
  const database = new Database(join(dataDir, 'comfyfleet.db'), { readonly: true });
  try {
    const tables = database
      .prepare(
        "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name",
      )
      .all() as { name: string }[];
    const count = (table: string) =>
      (database.prepare(`select count(*) as n from "${table}"`).get() as { n: number }).n;
    return {
      rows: Object.fromEntries(tables.map(({ name }) => [name, Number(count(name))])),
      files: (await filesBelow(join(dataDir, 'files'))).sort(),
    };
  } finally {
    database.close();
  }
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
