/** A store on Postgres behind a network that a test can break, with short times, and a way to look behind its back. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createLogger } from '../../src/lib/logger.ts';
import { openStore, type Store, type StoreOptions } from '../../src/store/open.ts';
import { TcpChaos } from './tcp-chaos.ts';
import { createTestDatabase } from './test-database.ts';

export interface ShakyStore {
  readonly store: Store;
  readonly proxy: TcpChaos;
  /** Of the database through the proxy. */
  readonly url: string;
  /** Asks the database itself, whatever the proxy does. */
  direct<Row extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** Times of statements, as parameters of the URL. */
export const SHORT_TIMES = {
  query_timeout: '1000',
  statement_timeout: '800',
  idle_in_transaction_session_timeout: '500',
} as const;

export interface ShakyOptions extends Partial<StoreOptions> {
  readonly times?: Record<string, string>;
}

export async function openShakyStore({
  times = SHORT_TIMES,
  ...options
}: ShakyOptions = {}): Promise<ShakyStore> {
  const database = await createTestDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-shaky-'));
  const direct = new pg.Client({ connectionString: database.url });
  await direct.connect();
  const proxy = await TcpChaos.to(Number(new URL(database.url).port || 5432));
  const address = new URL(database.url);
  address.hostname = '127.0.0.1';
  address.port = String(proxy.port);
  for (const [name, value] of Object.entries(times)) address.searchParams.set(name, value);
  const url = address.href;
  const store = await openStore({ url, dataDir, logger: createLogger('silent'), ...options });
  return {
    store,
    proxy,
    url,
    direct: async <Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []) =>
      (await direct.query<Row>(sql, [...values])).rows,
    async close() {
      await store.stop();
      await proxy.close();
      await direct.end();
      await database.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
