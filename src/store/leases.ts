/** Leadership: a lease row whose term grows with every holder. Writes carry the term, so a stale leader is refused. */
import { sql } from 'kysely';
import { identityShared, storeNow } from './engine-sql.ts';
import type { Db } from './open.ts';
import { statement } from './statement.ts';

/** Whose holder is the leader of the fleet. */
export const LEADER_LEASE = 'scheduler';

/** No lease that runs ends so early. */
const GIVEN_BACK = 0;

/**
 * Takes the lease when it is free, has run out, or is the holder's own; its term is greater than any before.
 * Null: another holder has it. `now` in epoch ms; where processes share the store its own clock is asked instead.
 */
export async function takeTerm(
  db: Db,
  name: string,
  holder: string,
  now: number,
  ttlMs: number,
): Promise<number | null> {
  const at = storeNow(db, now);
  // Standbys ask all the time: a lease that is held is looked at, not locked.
  if (await isHeld(db, name, now, holder)) return null;
  const expires_at = sql<number>`${at} + ${sql.lit(ttlMs)}`;
  const row = await db
    .insertInto('leases')
    .values({ name, holder, term: 1, expires_at })
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet((eb) => ({ holder, expires_at, term: eb('leases.term', '+', 1) }))
        .where((eb) => eb.or([eb('leases.expires_at', '<=', at), eb('leases.holder', '=', holder)])),
    )
    .returning('term')
    .executeTakeFirst();
  return row?.term ?? null;
}

/**
 * Keeps the lease for `ttlMs` more; false when the term is over because another holder took it, or it was given back (what
 * comes late must not take it back).
 */
export async function renewTerm(
  db: Db,
  name: string,
  term: number,
  now: number,
  ttlMs: number,
): Promise<boolean> {
  const result = await db
    .updateTable('leases')
    .set({ expires_at: sql<number>`${storeNow(db, now)} + ${sql.lit(ttlMs)}` })
    .where('name', '=', name)
    .where('term', '=', term)
    .where('expires_at', '>', GIVEN_BACK)
    .executeTakeFirstOrThrow();
  return result.numUpdatedRows > 0n;
}

/** Gives the lease free at once, so that a successor need not wait; nothing happens when the term is over already. */
export async function releaseTerm(db: Db, name: string, term: number): Promise<void> {
  await db
    .updateTable('leases')
    .set({ expires_at: GIVEN_BACK })
    .where('name', '=', name)
    .where('term', '=', term)
    .execute();
}

const selectTerm = statement((q, p: { name: string }) =>
  q.selectFrom('leases').select('term').where('name', '=', p.name).modifyEnd(identityShared(q)),
);

/** A later term has begun. In a transaction: none begins before that ends, so that what it writes is seen by the next term. */
export async function isTermOver(tx: Db, name: string, term: number): Promise<boolean> {
  const [row] = (await selectTerm(tx, { name })).rows;
  return row !== undefined && row.term > term;
}

/** Somebody, other than `besides`, holds the lease at this moment. */
export async function isHeld(db: Db, name: string, now: number, besides = ''): Promise<boolean> {
  const row = await db
    .selectFrom('leases')
    .select('term')
    .where('name', '=', name)
    .where('holder', '<>', besides)
    .where('expires_at', '>', storeNow(db, now))
    .executeTakeFirst();
  return row !== undefined;
}
