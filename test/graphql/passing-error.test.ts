import { createConnection } from 'node:net';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fileFailure } from '../../src/graphql/failures.ts';
import { passingError } from '../../src/graphql/passing-error.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { StorageUnavailable } from '../../src/storage/storage-unavailable.ts';
import { createPostgresPool } from '../../src/store/postgres-pool.ts';
import { openTempStore } from '../support/temp-store.ts';

const coded = (code: string) => Object.assign(new Error('it failed'), { code });
const codeOf = (error: unknown) => passingError(error)?.code ?? null;
const reasonOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (reason: unknown) => reason,
  );

/** Nobody listens there. */
const NOBODY = { host: '127.0.0.1', port: 1 };

describe('an error that passes by itself', () => {
  it('is the database’s when its connection is refused, whatever Kysely adds', async () => {
    const url = `postgres://x@${NOBODY.host}:${NOBODY.port}/x`;
    const pool = createPostgresPool({
      url,
      max: 1,
      listeners: new Set(),
      logger: createLogger('silent'),
    });
    const db = new Kysely({ dialect: new PostgresDialect({ pool }) });
    const refused = await reasonOf(sql`select 1`.execute(db));
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
    expect(codeOf(refused)).toBe('STORE_UNAVAILABLE');
    await db.destroy();
    expect(codeOf(await reasonOf(sql`select 1`.execute(db)))).toBe('STORE_UNAVAILABLE');
  });

  it('is the database’s when its connection breaks under a statement', async () => {
    const temp = await openTempStore('Postgres');
    onTestFinished(() => temp.close());
    const killed = await reasonOf(sql`select pg_terminate_backend(pg_backend_pid())`.execute(temp.store.db));
    expect(codeOf(killed)).toBe('STORE_UNAVAILABLE');
  });

  it('is not the database’s when another connection is refused or breaks', async () => {
    const refused = await new Promise((resolve) => createConnection(NOBODY).once('error', resolve));
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
    expect(codeOf(refused)).toBeNull();
    for (const code of ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'])
      expect(codeOf(coded(code)), code).toBeNull();
    expect(codeOf(new Error('timeout expired'))).toBeNull();
  });

  it('is known by a code that only a database has', () => {
    for (const code of ['57P01', '08006', '40P01', 'SQLITE_BUSY'])
      expect(codeOf(coded(code)), code).toBe('STORE_UNAVAILABLE');
    expect(codeOf(coded('42601'))).toBeNull();
  });

  it('is storage’s when that is away, or anything has no room', () => {
    expect(codeOf(new StorageUnavailable('away'))).toBe('STORAGE_UNAVAILABLE');
    for (const code of ['ENOSPC', 'SQLITE_FULL', '53100'])
      expect(codeOf(coded(code)), code).toBe('STORAGE_UNAVAILABLE');
  });
});

describe('a file that cannot be stored at the moment', () => {
  it('is refused in the words of every error that passes', async () => {
    const refused = await reasonOf(
      Promise.resolve().then(() => fileFailure({ kind: 'storage-unavailable' })),
    );
    expect(refused).toMatchObject({
      message: expect.stringContaining('try again later'),
      extensions: { code: 'STORAGE_UNAVAILABLE', retryable: true, retryAfterMs: expect.any(Number) },
    });
  });
});
