/**
 * One connection while it is used: parameters checked and mapped as for SQLite, every statement told to whoever counts
 * them. Once it broke, nothing more is asked of it, the first error stays the one that is told, and the pool closes it.
 */
import type { PostgresPoolClient, PostgresQueryResult } from 'kysely';
import pg from 'pg';
import { toBound } from './parameters.ts';
import { ofStore } from './store-error.ts';

const TRANSACTION_WORDS = new Set(['begin', 'commit', 'rollback']);

/** After these the server closes the connection: connection exceptions, shutdowns, idle_in_transaction_session_timeout. */
const LAST_WORDS = /^(08...|57P..|25P03)$/;

const NOTHING: PostgresQueryResult<never> = { command: 'ROLLBACK', rowCount: 0, rows: [] } as never;

export class PostgresConnection implements PostgresPoolClient {
  readonly #client: pg.PoolClient;
  readonly #listeners: ReadonlySet<(sql: string) => void>;
  #broken: Error | null = null;
  // The pool does not listen to a connection that is in use; unheard, such an error would end the process.
  readonly #onError = (error: Error): void => this.#breaks(error);

  constructor(client: pg.PoolClient, listeners: ReadonlySet<(sql: string) => void>) {
    this.#client = client;
    this.#listeners = listeners;
    client.on('error', this.#onError);
  }

  /** Cursors, the other thing that could be asked, are not in use. */
  readonly query = ((sql: string, parameters: readonly unknown[]) =>
    this.#query(sql, parameters)) as PostgresPoolClient['query'];

  release(): void {
    this.#client.release(this.#broken ?? undefined);
    this.#client.off('error', this.#onError);
  }

  async #query(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<unknown>> {
    if (this.#listeners.size > 0 && !TRANSACTION_WORDS.has(sql)) {
      for (const listener of this.#listeners) listener(sql);
    }
    // with its connection a transaction is undone; another error here would hide why
    if (sql === 'rollback') return this.#ask(sql, []).catch(() => NOTHING);
    return this.#ask(sql, parameters.map(toBound));
  }

  async #ask(sql: string, bound: readonly unknown[]): Promise<PostgresQueryResult<unknown>> {
    if (this.#broken) throw this.#broken;
    const result = await this.#client.query(sql, [...bound]).catch((error: unknown) => {
      throw ofStore(this.#judged(error));
    });
    // what a COMMIT is answered with when a statement had failed and nobody minded
    if (sql === 'commit' && result.command === 'ROLLBACK') {
      throw new Error('a transaction was undone because one of its statements had failed');
    }
    return result as unknown as PostgresQueryResult<unknown>;
  }

  #judged(error: unknown): unknown {
    if (error instanceof pg.DatabaseError) {
      withoutValues(error);
      if (LAST_WORDS.test(error.code ?? '')) this.#breaks(error);
    } else if (error instanceof Error) this.#breaks(error);
    return error;
  }

  #breaks(error: Error): void {
    this.#broken ??= ofStore(error);
  }
}

/** They quote rows, which hold what users wrote; errors are logged. */
function withoutValues(error: pg.DatabaseError): void {
  error.detail = undefined;
  error.where = undefined;
  error.internalQuery = undefined;
}
