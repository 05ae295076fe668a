/** Looks into the database of a cluster from beside. It waits while the database is away. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { OPEN, type OpenRow, UNFINISHED } from '../rows.ts';

const PATIENCE_MS = 120_000;

export class ClusterRows {
  readonly #pool: pg.Pool;

  constructor(url: string) {
    this.#pool = new pg.Pool({ connectionString: url, max: 3, connectionTimeoutMillis: 5000 });
    this.#pool.on('error', () => undefined);
    // counts, terms and times fit a number
    this.#pool.on('connect', (client) => client.setTypeParser(pg.types.builtins.INT8, Number));
  }

  /** Attempts that hold a place. */
  open(): Promise<OpenRow[]> {
    return this.all<OpenRow>(OPEN);
  }

  /** Jobs that wait or run. */
  async unfinished(): Promise<number> {
    return (await this.all<{ n: number }>(UNFINISHED))[0]?.n ?? 0;
  }

  /** What a query finds, once the database answers. */
  async all<T>(sql: string, parameters: readonly unknown[] = []): Promise<T[]> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        return (await this.#pool.query(sql, [...parameters])).rows as T[];
      } catch (error) {
        if (!isAway(error) || performance.now() > deadline) throw error;
        await sleep(100);
      }
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}

/** Not an error in the query: it does not serve, or the connection broke. */
function isAway(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code !== 'string' || /^(57P|08|53|E[A-Z]+$)/.test(code);
}
