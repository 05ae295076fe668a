/** Lets a file be named by an upload, as whatever a job takes is when it is queued. */
import type { Db } from '../../src/store/open.ts';
import { insertUpload } from '../../src/store/uploads.ts';

/** Answers how to take the uploads away again. */
export async function nameFiles(
  db: Db,
  tenant: string,
  files: readonly { readonly sha256: string }[],
): Promise<() => Promise<void>> {
  const names = [...new Set(files.map(({ sha256 }) => sha256))];
  const ids = names.map((sha256) => `names ${sha256} ${crypto.randomUUID()}`);
  const about = { filename: 'x.png', mimeType: 'image/png', width: 1, height: 1, bytes: 10 };
  for (const [n, sha256] of names.entries())
    await insertUpload(db, { id: ids[n] ?? '', tenant, user: null, ...about, sha256, createdAt: 1 });
  return async () => {
    if (ids.length > 0) await db.deleteFrom('uploads').where('id', 'in', ids).execute();
  };
}
