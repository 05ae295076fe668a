import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kysely } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { createEngine } from '../../src/store/dialect.ts';
import { migrate } from '../../src/store/migrate.ts';
import { openStore } from '../../src/store/open.ts';
import type { Tables } from '../../src/store/schema.ts';

const DEFAULTS = { poolMax: 10, logger: createLogger('silent') };

const logger = createLogger('silent');

describe('a start that ends while it makes the tables', () => {
  let dataDir: string;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-migrate-'));
  });
  afterEach(() => rm(dataDir, { recursive: true, force: true }));

  /** Ends at the nth statement. How many it came by. */
  async function makeTables(endAt: number): Promise<number> {
    let statements = 0;
    const count = (): void => {
      statements += 1;
      if (statements >= endAt) throw new Error('the end');
    };
    const { dialect } = createEngine({
      dataDir,
      synchronous: 'NORMAL',
      listeners: new Set([count]),
      ...DEFAULTS,
    });
    const db = new Kysely<Tables>({ dialect });
    await migrate(db, logger).catch(() => undefined);
    await db.destroy();
    return statements;
  }

  it('leaves a folder that the next start can use, wherever it ended', async () => {
    const all = await makeTables(Number.POSITIVE_INFINITY);
    expect(all).toBeGreaterThan(20);
    for (let endAt = 1; endAt <= all; endAt += 3) {
      await rm(dataDir, { recursive: true, force: true });
      dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-migrate-'));
      expect(await makeTables(endAt)).toBeGreaterThanOrEqual(endAt);
      const store = await openStore({ dataDir, synchronous: 'NORMAL', logger });
      expect(await store.healthy(), `after an end at statement ${endAt}`).toBe(true);
      await store.stop();
    }
  });
});
