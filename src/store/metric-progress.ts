/** How far the rollups have come. */
import type { Db } from './open.ts';
import { findSetting, saveSetting } from './settings.ts';

const SETTING = 'metrics-persisted-at';

/** The moment up to which everything that happened is in the rollups, epoch ms; null before the first was folded. */
export async function persistedAt(db: Db): Promise<number | null> {
  const value = await findSetting(db, SETTING);
  return value === null ? null : Number(value);
}

export async function savePersistedAt(tx: Db, at: number): Promise<void> {
  await saveSetting(tx, SETTING, String(at));
}
