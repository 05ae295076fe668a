/** What is asked of instances, as rows: written beside the change it is about, carried out and marked as done by the leader. */
import type { Wish } from '../domain/wish.ts';
import { isTermOver, LEADER_LEASE } from './leases.ts';
import type { Db } from './open.ts';
import { statement } from './statement.ts';

export async function insertWish(tx: Db, { id, instanceId, kind, askedAt }: Wish): Promise<void> {
  await tx
    .insertInto('wishes')
    .values({ id, instance_id: instanceId, kind, asked_at: askedAt, done_at: null, error: null })
    .execute();
}

const selectOpen = statement((q) =>
  q
    .selectFrom('wishes')
    .select(['id', 'instance_id', 'kind', 'asked_at'])
    .where('done_at', 'is', null)
    .orderBy('asked_at')
    .orderBy('id'),
);

/** Those that wait for the leader, oldest first. */
export async function openWishes(db: Db): Promise<Wish[]> {
  const { rows } = await selectOpen(db, {});
  return rows.map((row) => ({
    id: row.id,
    instanceId: row.instance_id,
    kind: row.kind,
    askedAt: row.asked_at,
  }));
}

/** `error`: why it could not be done, one line; null when it was. */
export interface DoneWish {
  readonly error: string | null;
}

const selectDone = statement((q, p: { id: string }) =>
  q.selectFrom('wishes').select('error').where('id', '=', p.id).where('done_at', 'is not', null),
);

/** Null while it waits. */
export async function findDoneWish(db: Db, id: string): Promise<DoneWish | null> {
  return (await selectDone(db, { id })).rows[0] ?? null;
}

/**
 * Marks it as done; false, with nothing written, when a later term has begun: what this leader did for it then counts for
 * nothing, and its successor does it.
 */
export async function finishWish(
  tx: Db,
  id: string,
  { error, term, now }: DoneWish & { readonly term: number; readonly now: number },
): Promise<boolean> {
  if (await isTermOver(tx, LEADER_LEASE, term)) return false;
  await tx
    .updateTable('wishes')
    .set({ done_at: now, error })
    .where('id', '=', id)
    .where('done_at', 'is', null)
    .execute();
  return true;
}

/** Deletes those that were done before this moment (epoch ms). */
export async function forgetWishes(db: Db, doneBefore: number): Promise<void> {
  await db.deleteFrom('wishes').where('done_at', '<', doneBefore).execute();
}
