/** Uploaded pictures. The bytes are in storage; several uploads of one picture share them. */
import type { StoredUpload } from '../domain/output.ts';
import type { Db } from './open.ts';
import { uploadFromRow } from './rows.ts';
import { type Scope, visibleTo } from './viewer-scope.ts';

/** Its blob must be pinned until this has resolved. */
export async function insertUpload(db: Db, upload: StoredUpload): Promise<void> {
  await db
    .insertInto('uploads')
    .values({
      id: upload.id,
      tenant: upload.tenant,
      user_id: upload.user,
      filename: upload.filename,
      mime_type: upload.mimeType,
      width: upload.width,
      height: upload.height,
      bytes: upload.bytes,
      sha256: upload.sha256,
      created_at: upload.createdAt,
    })
    .execute();
}

/** Null when there is none or it is another tenant's. */
export async function findUpload(db: Db, scope: Scope, id: string): Promise<StoredUpload | null> {
  return (await findUploads(db, scope, [id]))[0] ?? null;
}

/** Those that exist, in no order. */
export async function findUploads(db: Db, scope: Scope, ids: readonly string[]): Promise<StoredUpload[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('uploads')
    .selectAll()
    .where('id', 'in', ids)
    .where(visibleTo(scope, 'uploads'))
    .execute();
  return rows.map(uploadFromRow);
}
