/** Postgres behind a network that a test can break, with short times, and a way to look behind its back. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createLogger } from '../../src/lib/logger.ts';
import { openStore, type Store, type StoreOptions } from '../../src/store/open.ts';
import { TcpChaos } from './tcp-chaos.ts';
import { createTestDatabase } from './test-database.ts';

export interface ShakyDatabase {
  readonly proxy: TcpChaos;
  /** Through the proxy. */
  readonly url: string;
  /** Asks the database itself, whatever the proxy does. */
  direct<Row extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

export interface ShakyStore extends ShakyDatabase {
  readonly store: Store;
  readonly dataDir: string;
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

export async function openShakyDatabase(times: Record<string, string> = SHORT_TIMES): Promise<ShakyDatabase> {
  const database = await createTestDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const proxy = await TcpChaos.to(Number(new URL(database.url).port || 5432));
  const address = new URL(database.url);
  address.hostname = '127.0.0.1';
  address.port = String(proxy.port);
  for (const [name, value] of Object.entries(times)) address.searchParams.set(name, value);
  return {
    proxy,
    url: address.href,
    direct: async <Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []) =>
      (await client.query<Row>(sql, [...values])).rows,
    async close() {
      await proxy.close();
      await client.end();
      await database.drop();
    },
  };
}

export async function openShakyStore({ times, ...options }: ShakyOptions = {}): Promise<ShakyStore> {
  const database = await openShakyDatabase(times);
  const { url } = database;
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-shaky-'));
  const store = await openStore({ url, dataDir, logger: createLogger('silent'), ...options });
  return {
    ...database,
    store,
    dataDir,
    async close() {
      await store.stop();
      await database.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
