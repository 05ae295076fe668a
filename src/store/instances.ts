/** The fleet as rows: who is in it, how each one is, what each one has. Only the leader writes health. */
import type { Instance } from '../domain/instance.ts';
import { Login } from '../lib/address.ts';
import { lockKey } from './engine-sql.ts';
import type { Db } from './open.ts';
import { instanceFromRow } from './rows.ts';
import type { InstancesTable } from './schema.ts';
import { statement } from './statement.ts';

const selectAllInstances = statement((q) =>
  q.selectFrom('instances').selectAll().orderBy('name').orderBy('id'),
);
const selectLiveInstances = statement((q) =>
  q.selectFrom('instances').selectAll().where('removed_at', 'is', null).orderBy('name').orderBy('id'),
);
const selectInstances = statement((q, p: { ids: readonly string[] }) =>
  q.selectFrom('instances').selectAll().where('id', 'in', p.ids),
);

/** In order of their names. */
export async function listInstances(
  db: Db,
  options: { readonly includeRemoved?: boolean } = {},
): Promise<Instance[]> {
  const select = options.includeRemoved ? selectAllInstances : selectLiveInstances;
  return (await select(db, {})).rows.map(instanceFromRow);
}

/** Those that exist, removed ones too, in no order. */
export async function findInstances(db: Db, ids: readonly string[]): Promise<Instance[]> {
  if (ids.length === 0) return [];
  const { rows } = await selectInstances(db, { ids });
  return rows.map(instanceFromRow);
}

export interface ConfiguredInstance {
  /** Used when the URL is new; a known URL keeps its id. */
  readonly id: string;
  readonly name: string;
  /** Without the login: the same address with another one is the same instance. */
  readonly url: string;
  readonly login?: Login | null;
  readonly capacity: number;
}

/** Makes the configured instance known, or brings the one of the same URL up to date; health is left as it was. */
export async function upsertConfigured(
  db: Db,
  configured: ConfiguredInstance,
  now: number,
): Promise<Instance> {
  const values = newRow(configured, 'config', now);
  const { name, login, capacity } = values;
  const row = await db
    .insertInto('instances')
    .values(values)
    .onConflict((conflict) =>
      conflict
        .column('url')
        .where('removed_at', 'is', null)
        .doUpdateSet({ name, login, capacity, origin: 'config', updated_at: now }),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
  return instanceFromRow(row);
}

/** Puts in one that a person added; its address is of no other instance of the fleet. */
export async function insertAdded(tx: Db, added: ConfiguredInstance, now: number): Promise<Instance> {
  const row = await tx
    .insertInto('instances')
    .values(newRow(added, 'added', now))
    .returningAll()
    .executeTakeFirstOrThrow();
  return instanceFromRow(row);
}

/** Until the transaction ends nobody else adds instances, removes them, or brings them in line with the configuration. */
export function lockInstances(tx: Db): Promise<void> {
  return lockKey(tx, 'instances');
}

/** Null when the instance is removed or unknown. */
export async function setDraining(
  tx: Db,
  id: string,
  draining: boolean,
  now: number,
): Promise<Instance | null> {
  const row = await tx
    .updateTable('instances')
    .set({ draining: draining ? 1 : 0, updated_at: now })
    .where('id', '=', id)
    .where('removed_at', 'is', null)
    .returningAll()
    .executeTakeFirst();
  return row ? instanceFromRow(row) : null;
}

const NEVER_SEEN = {
  draining: 0,
  health: 'UNKNOWN',
  breaker: 'CLOSED',
  last_seen_at: null,
  last_error: null,
  response_ms: null,
  up_since: null,
  queue_running: 0,
  queue_pending: 0,
  foreign_prompts: 0,
  comfyui_version: null,
  gpu: null,
  vram_total_bytes: null,
  vram_free_bytes: null,
  inventory_key: null,
  loaded_models: '[]',
  client_id: null,
  removed_at: null,
} as const satisfies Partial<InstancesTable>;

function newRow(
  { id, name, url, login, capacity }: ConfiguredInstance,
  origin: Instance['origin'],
  now: number,
): InstancesTable {
  const secret = login?.reveal() ?? null;
  const times = { created_at: now, updated_at: now };
  return { ...NEVER_SEEN, id, name, url, login: secret, capacity, origin, ...times };
}

/** What a probe finds out. */
export type HealthPatch = Partial<
  Pick<
    Instance,
    | 'health'
    | 'breaker'
    | 'lastSeenAt'
    | 'lastError'
    | 'responseMs'
    | 'upSince'
    | 'queueRunning'
    | 'queuePending'
    | 'foreignPrompts'
    | 'comfyuiVersion'
    | 'gpu'
    | 'vramTotalBytes'
    | 'vramFreeBytes'
    | 'loadedModels'
  >
>;

/** Writes what is given and leaves the rest; null when the instance is removed or unknown. */
export async function saveHealth(
  db: Db,
  id: string,
  patch: HealthPatch,
  now: number,
): Promise<Instance | null> {
  const columns = {
    health: patch.health,
    breaker: patch.breaker,
    last_seen_at: patch.lastSeenAt,
    last_error: patch.lastError,
    response_ms: patch.responseMs,
    up_since: patch.upSince,
    queue_running: patch.queueRunning,
    queue_pending: patch.queuePending,
    foreign_prompts: patch.foreignPrompts,
    comfyui_version: patch.comfyuiVersion,
    gpu: patch.gpu,
    vram_total_bytes: patch.vramTotalBytes,
    vram_free_bytes: patch.vramFreeBytes,
    loaded_models: patch.loadedModels && JSON.stringify(patch.loadedModels),
  };
  const given = Object.entries(columns).filter(([, value]) => value !== undefined);
  const row = await db
    .updateTable('instances')
    .set({ ...(Object.fromEntries(given) as Partial<InstancesTable>), updated_at: now })
    .where('id', '=', id)
    .where('removed_at', 'is', null)
    .returningAll()
    .executeTakeFirst();
  return row ? instanceFromRow(row) : null;
}

/** The ComfyUI client id of the instance's socket; null when it has none stored. */
export async function findClientId(db: Db, id: string): Promise<string | null> {
  const row = await db.selectFrom('instances').select('client_id').where('id', '=', id).executeTakeFirst();
  return row?.client_id ?? null;
}

/** What the instance asks for before it answers: for whoever connects to it, and nobody else; null for nothing. */
export async function findLogin(db: Db, id: string): Promise<Login | null> {
  const row = await db.selectFrom('instances').select('login').where('id', '=', id).executeTakeFirst();
  return row?.login ? new Login(row.login) : null;
}

export async function setClientId(db: Db, id: string, clientId: string | null): Promise<void> {
  await db.updateTable('instances').set({ client_id: clientId }).where('id', '=', id).execute();
}

/** Takes the instance out of the fleet; its row stays for the jobs that ran on it. False when it was out already. */
export async function removeInstance(db: Db, id: string, now: number): Promise<boolean> {
  const result = await db
    .updateTable('instances')
    .set({ removed_at: now, updated_at: now })
    .where('id', '=', id)
    .where('removed_at', 'is', null)
    .executeTakeFirstOrThrow();
  return result.numUpdatedRows > 0n;
}
