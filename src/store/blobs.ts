/**
 * Which stored files rows still name. A blob is referred to by outputs, uploads and the files of a job's graph; when a
 * row goes, its blob is noted in `dropped_blobs` in the same transaction, and judged (and removed) later.
 */
import { sql } from 'kysely';
import { identityShared, lockKey } from './engine-sql.ts';
import type { Db } from './open.ts';
import { statement } from './statement.ts';

export interface BlobName {
  readonly tenant: string;
  readonly sha256: string;
}

/** Those of the rows that have a blob (a text output has none), each once. */
export function withBlobs(
  rows: readonly { readonly tenant: string; readonly sha256: string | null }[],
): BlobName[] {
  const names = new Map<string, BlobName>();
  for (const { tenant, sha256 } of rows) {
    if (sha256 !== null) names.set(JSON.stringify([tenant, sha256]), { tenant, sha256 });
  }
  return [...names.values()];
}

/** Whether any row names it. */
export async function isReferenced(db: Db, blob: BlobName): Promise<boolean> {
  const named = (table: 'outputs' | 'uploads' | 'job_files') =>
    db
      .selectFrom(table)
      .select(sql<number>`1`.as('found'))
      .where('tenant', '=', blob.tenant)
      .where('sha256', '=', blob.sha256);
  const row = await named('outputs')
    .unionAll(named('uploads'))
    .unionAll(named('job_files'))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * Whether a row names it: that row then stays until the transaction ends. So a row written in the transaction names the blob
 * before the one found here can go, and whoever judges the blob afterwards sees one or the other.
 */
export async function claimBlob(tx: Db, { tenant, sha256 }: BlobName): Promise<boolean> {
  for (const claim of CLAIMS) if ((await claim(tx, { tenant, sha256 })).rows.length > 0) return true;
  return false;
}

/** One after the other: rows of a union cannot be held. Uploads first, which are most often what is named. */
const CLAIMS = (['uploads', 'job_files', 'outputs'] as const).map((table) =>
  statement((q, { tenant, sha256 }: BlobName) =>
    q
      .selectFrom(table)
      .select(sql<number>`1`.as('found'))
      .where('tenant', '=', tenant)
      .where('sha256', '=', sha256)
      .limit(1)
      .modifyEnd(identityShared(q)),
  ),
);

/** Notes blobs whose row goes; part of the transaction that removes the row. */
export async function noteDropped(tx: Db, blobs: readonly BlobName[]): Promise<void> {
  if (blobs.length === 0) return;
  // In one order everywhere: two transactions that note the same ones would else wait for each other.
  const ordered = [...blobs].sort((a, b) => compared(a.tenant, b.tenant) || compared(a.sha256, b.sha256));
  await tx
    .insertInto('dropped_blobs')
    .values(ordered.map(({ tenant, sha256 }) => ({ tenant, sha256 })))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

function compared(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The noted ones, in a stable order, from after the given one. */
export async function droppedBlobs(db: Db, limit: number, after?: BlobName): Promise<BlobName[]> {
  let query = db.selectFrom('dropped_blobs').selectAll().orderBy('tenant').orderBy('sha256').limit(limit);
  if (after) query = query.where(sql<boolean>`(tenant, sha256) > (${after.tenant}, ${after.sha256})`);
  return query.execute();
}

/** They were judged: each file is gone, or a row names it again. */
export async function forgetDropped(tx: Db, blobs: readonly BlobName[]): Promise<void> {
  if (blobs.length === 0) return;
  // two that forget the same ones would else wait for each other
  await lockKey(tx, 'forget-dropped');
  const names = blobs.map(({ tenant, sha256 }) => sql`(${tenant}, ${sha256})`);
  await tx
    .deleteFrom('dropped_blobs')
    .where(sql<boolean>`(tenant, sha256) in (values ${sql.join(names)})`)
    .execute();
}

/** Deletes upload rows made before `at` whose picture no job takes, at most `limit`; notes their blobs. How many went. */
export async function dropOldUploads(tx: Db, at: number, limit: number): Promise<number> {
  const old = await tx
    .selectFrom('uploads')
    .select(['id', 'tenant', 'sha256'])
    .where('created_at', '<', at)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('job_files')
            .select('job_files.job_id')
            .whereRef('job_files.tenant', '=', 'uploads.tenant')
            .whereRef('job_files.sha256', '=', 'uploads.sha256'),
        ),
      ),
    )
    .orderBy('created_at')
    .limit(limit)
    .execute();
  if (old.length === 0) return 0;
  await noteDropped(tx, withBlobs(old));
  await tx
    .deleteFrom('uploads')
    .where(
      'id',
      'in',
      old.map((upload) => upload.id),
    )
    .execute();
  return old.length;
}
