/** Lists of any length in a query that names each of them: engines take so many values in one statement. */

/** SQLite takes 32,766, Postgres 65,535. */
const MOST_AT_ONCE = 1000;

/** What `read` answers for all of the keys, asked for a thousand of them at a time. */
export async function inChunks<K, R>(
  keys: readonly K[],
  read: (some: readonly K[]) => Promise<readonly R[]>,
): Promise<R[]> {
  const found: R[] = [];
  for (let from = 0; from < keys.length; from += MOST_AT_ONCE) {
    found.push(...(await read(keys.slice(from, from + MOST_AT_ONCE))));
  }
  return found;
}
