/** Databases of their own on the Postgres that the tests run with (DATABASE_URL). */
import { randomBytes } from 'node:crypto';
import pg from 'pg';

export interface TestDatabase {
  readonly url: string;
  /** Deletes every row of every table, but remembers which migrations were run. */
  empty(): Promise<void>;
  /** Ends what is still connected to it. */
  drop(): Promise<void>;
}

export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `comfyfleet_test_${randomBytes(8).toString('hex')}`;
  await query(serverUrl(), `create database ${name}`);
  const url = new URL(serverUrl());
  url.pathname = `/${name}`;
  return {
    url: url.href,
    empty: () => query(url.href, EMPTY),
    drop: () => query(serverUrl(), `drop database if exists ${name} with (force)`),
  };
}

// Not truncate: that makes files anew, which takes longer than deleting a test's few rows.
const EMPTY = `do $$ declare t record; begin
  for t in select tablename from pg_tables where schemaname = 'public' and tablename not like 'kysely_%' loop
    execute format('delete from %I', t.tablename);
  end loop; end $$`;

function serverUrl(): string {
  const url = process.env.DATABASE_URL;
  if (!url) throw new Error('DATABASE_URL names no Postgres for the tests');
  return url;
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
