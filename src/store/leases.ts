/** Leadership: a lease row whose term grows with every holder. Writes carry the term, so a stale leader is refused. */
import type { Db } from './open.ts';
import { statement } from './statement.ts';

/** Whose holder is the leader of the fleet. */
export const LEADER_LEASE = 'scheduler';

/**
 * Takes the lease when it is free, has run out, or is the holder's own; its term is greater than any before.
 * Null: another holder has it. `now` in epoch ms.
 */
export async function takeTerm(
  db: Db,
  name: string,
  holder: string,
  now: number,
  ttlMs: number,
): Promise<number | null> {
  const expires_at = now + ttlMs;
  const row = await db
    .insertInto('leases')
    .values({ name, holder, term: 1, expires_at })
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet((eb) => ({ holder, expires_at, term: eb('leases.term', '+', 1) }))
        .where((eb) => eb.or([eb('leases.expires_at', '<=', now), eb('leases.holder', '=', holder)])),
    )
    .returning('term')
    .executeTakeFirst();
  return row?.term ?? null;
}

/** Keeps the lease for `ttlMs` more; false when the term is over because another holder took it. */
export async function renewTerm(
  db: Db,
  name: string,
  term: number,
  now: number,
  ttlMs: number,
): Promise<boolean> {
  const result = await db
    .updateTable('leases')
    .set({ expires_at: now + ttlMs })
    .where('name', '=', name)
    .where('term', '=', term)
    .executeTakeFirstOrThrow();
  return result.numUpdatedRows > 0n;
}

/** Gives the lease free at once, so that a successor need not wait; nothing happens when the term is over already. */
export async function releaseTerm(db: Db, name: string, term: number): Promise<void> {
  await db
    .updateTable('leases')
    .set({ expires_at: 0 })
    .where('name', '=', name)
    .where('term', '=', term)
    .execute();
}

const selectNewer = statement((q, p: { name: string; term: number }) =>
  q.selectFrom('leases').select('term').where('name', '=', p.name).where('term', '>', p.term),
);

/** A later term has begun. */
export async function isTermOver(db: Db, name: string, term: number): Promise<boolean> {
  return (await selectNewer(db, { name, term })).rows.length > 0;
}
