/**
 * The guard of blobs that several processes share: pins are rows, and whoever pins or removes a blob holds the same lock of
 * the database. Postgres only: in SQLite the work of a removal, which asks the store, would wait for itself.
 */
import { sql } from 'kysely';
import {
  type BlobGuard,
  type BlobPin,
  blobKey,
  DOUBT_MS,
  inDoubt,
  RemovalInDoubt,
} from '../domain/blob-guard.ts';
import { assert } from '../lib/assert.ts';
import type { Clock } from '../lib/clock.ts';
import { KeyLock } from '../lib/key-lock.ts';
import { isPostgres, lockKey, storeNow } from './engine-sql.ts';
import type { Db, Store } from './open.ts';

export interface BlobPinsParts {
  readonly store: Pick<Store, 'db' | 'transaction'>;
  readonly clock: Clock;
  readonly ids: () => string;
}

/** By then the process that pinned is dead, or will never write the row. */
const HOUR_MS = 3_600_000;

export class SqlBlobGuard implements BlobGuard {
  readonly #parts: BlobPinsParts;
  /** Within this process nobody waits for a blob with a connection in hand. */
  readonly #blobs = new KeyLock();
  /** A removal holds one connection while its work asks for another: two at once could take all there are. */
  readonly #removals = new KeyLock();
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(parts: BlobPinsParts) {
    assert(isPostgres(parts.store.db), 'pins in rows are for Postgres');
    this.#parts = parts;
  }

  async pin(tenant: string, sha256: string): Promise<BlobPin> {
    const { store, clock, ids } = this.#parts;
    const id = ids();
    await this.#blobs.run(blobKey(tenant, sha256), () =>
      store.transaction(async (tx) => {
        await lockKey(tx, blobKey(tenant, sha256));
        if (!(await insertPin(tx, { tenant, sha256, id }, clock.now()))) throw inDoubt();
      }),
    );
    const unpinned = (): Promise<void> => unpin(store.db, tenant, sha256, id);
    return {
      // In its turn, so that who releases may remove; what cannot be deleted now runs out by itself.
      release: () => void this.#blobs.run(blobKey(tenant, sha256), unpinned).catch(() => undefined),
    };
  }

  async unlessPinned<T>(tenant: string, sha256: string, work: () => Promise<T>): Promise<T | null> {
    const { store, clock } = this.#parts;
    this.#sweep();
    const key = blobKey(tenant, sha256);
    const remove = (): Promise<T | null | RemovalInDoubt> =>
      store.transaction(async (tx) => {
        await lockKey(tx, key);
        if (await isPinned(tx, tenant, sha256, clock.now())) return null;
        return work().catch(async (error: unknown) => {
          if (!(error instanceof RemovalInDoubt)) throw error;
          await insertDoubt(tx, tenant, sha256, clock.now());
          return error;
        });
      });
    const removed = await this.#removals.run('', () => this.#blobs.run(key, remove));
    if (removed instanceof RemovalInDoubt) throw removed;
    return removed;
  }

  /** Now and then, what dead processes left. */
  #sweep(): void {
    const { store, clock } = this.#parts;
    const now = clock.monotonic();
    if (now - this.#sweptAt < HOUR_MS) return;
    this.#sweptAt = now;
    const expired = store.db
      .deleteFrom('blob_pins')
      .where('expires_at', '<=', storeNow(store.db, clock.now()))
      .execute();
    expired.catch(() => undefined);
  }
}

/** Stands among the pins, so that nobody removes what is in doubt anyway. */
const DOUBT = 'doubt';

const expiring = (tx: Db, now: number, afterMs: number) =>
  sql<number>`${storeNow(tx, now)} + ${sql.lit(afterMs)}`;

/** False when a removal is in doubt. One statement, since all that is stored passes here. */
async function insertPin(
  tx: Db,
  { tenant, sha256, id }: { readonly tenant: string; readonly sha256: string; readonly id: string },
  now: number,
): Promise<boolean> {
  const doubt = tx
    .selectFrom('blob_pins as doubts')
    .select('doubts.id')
    .where('doubts.tenant', '=', tenant)
    .where('doubts.sha256', '=', sha256)
    .where('doubts.id', '=', DOUBT)
    .where('doubts.expires_at', '>', storeNow(tx, now));
  const { numInsertedOrUpdatedRows = 0n } = await tx
    .insertInto('blob_pins')
    .columns(['tenant', 'sha256', 'id', 'expires_at'])
    .expression(
      tx
        .selectNoFrom((eb) => [
          eb.val(tenant).as('tenant'),
          eb.val(sha256).as('sha256'),
          eb.val(id).as('id'),
          expiring(tx, now, HOUR_MS).as('expires_at'),
        ])
        .where((eb) => eb.not(eb.exists(doubt))),
    )
    .executeTakeFirst();
  return numInsertedOrUpdatedRows > 0n;
}

async function insertDoubt(tx: Db, tenant: string, sha256: string, now: number): Promise<void> {
  const expires_at = expiring(tx, now, DOUBT_MS);
  await tx
    .insertInto('blob_pins')
    .values({ tenant, sha256, id: DOUBT, expires_at })
    .onConflict((conflict) => conflict.columns(['tenant', 'sha256', 'id']).doUpdateSet({ expires_at }))
    .execute();
}

async function isPinned(tx: Db, tenant: string, sha256: string, now: number): Promise<boolean> {
  const row = await tx
    .selectFrom('blob_pins')
    .select('id')
    .where('tenant', '=', tenant)
    .where('sha256', '=', sha256)
    .where('expires_at', '>', storeNow(tx, now))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

async function unpin(db: Db, tenant: string, sha256: string, id: string): Promise<void> {
  await db
    .deleteFrom('blob_pins')
    .where('tenant', '=', tenant)
    .where('sha256', '=', sha256)
    .where('id', '=', id)
    .execute();
}
