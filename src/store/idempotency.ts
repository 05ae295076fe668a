/** Idempotency keys: the same request sent twice makes one job. A key holds for 24 hours within its tenant. */
import { sql } from 'kysely';
import type { Db } from './open.ts';

export const IDEMPOTENCY_KEY_MS = 24 * 60 * 60 * 1000;

export interface IdempotencyClaim {
  readonly tenant: string;
  readonly key: string;
  readonly bodyHash: string;
  readonly jobId: string;
  /** Epoch ms. */
  readonly now: number;
}

/** Who has the key: the claim just made, or an earlier one that still holds. */
export type ClaimResult =
  | { readonly claimed: true }
  | { readonly claimed: false; readonly bodyHash: string; readonly jobId: string };

/** One INSERT decides, so that of two equal requests at once exactly one gets the key; an expired key is taken over. */
export async function claimKey(tx: Db, claim: IdempotencyClaim): Promise<ClaimResult> {
  const { tenant, key, bodyHash: body_hash, jobId: job_id, now: created_at } = claim;
  const result = await tx
    .insertInto('idempotency_keys')
    .values({ tenant, key, body_hash, job_id, created_at })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant', 'key'])
        .doUpdateSet({ body_hash, job_id, created_at })
        .where('idempotency_keys.created_at', '<=', created_at - IDEMPOTENCY_KEY_MS),
    )
    .executeTakeFirstOrThrow();
  if ((result.numInsertedOrUpdatedRows ?? 0n) > 0n) return { claimed: true };
  const row = await tx
    .selectFrom('idempotency_keys')
    .select(['body_hash as bodyHash', 'job_id as jobId'])
    .where('tenant', '=', tenant)
    .where('key', '=', key)
    .executeTakeFirstOrThrow();
  return { claimed: false, ...row };
}

/** The job an unexpired key names and the hash of its body; null when the key is free. */
export async function findKey(
  db: Db,
  tenant: string,
  key: string,
  now: number,
): Promise<{ readonly bodyHash: string; readonly jobId: string } | null> {
  const row = await db
    .selectFrom('idempotency_keys')
    .select(['body_hash as bodyHash', 'job_id as jobId'])
    .where('tenant', '=', tenant)
    .where('key', '=', key)
    .where('created_at', '>', now - IDEMPOTENCY_KEY_MS)
    .executeTakeFirst();
  return row ?? null;
}

/** Deletes keys that hold no longer, the oldest first, at most `limit`. How many went. */
export async function dropExpiredKeys(db: Db, now: number, limit: number): Promise<number> {
  const before = now - IDEMPOTENCY_KEY_MS;
  const { numDeletedRows } = await db
    .deleteFrom('idempotency_keys')
    // one that was taken over meanwhile holds again
    .where('created_at', '<=', before)
    .where(
      sql<boolean>`(tenant, key) in (select tenant, key from idempotency_keys where created_at <= ${before}
        order by created_at limit ${limit})`,
    )
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}
