/** Removes the files that puts of dead processes left half-written. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { orNullIfAbsent } from './fs-error.ts';

/** Those last written before this moment (epoch ms), but none of `kept`; how many. */
export async function sweepFolder(
  folder: string,
  before: number,
  kept: ReadonlySet<string>,
): Promise<number> {
  let swept = 0;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await orNullIfAbsent(stat(path));
    if (!found?.isFile() || found.mtimeMs > before || kept.has(path)) continue;
    await rm(path, { force: true });
    swept += 1;
  }
  return swept;
}
