/**
 * libsql as Kysely's SQLite dialect wants it: parameters checked and mapped, prepared statements kept, every statement
 * told to whoever counts them.
 */

import type { SqliteDatabase, SqliteStatement } from 'kysely';
import Database from 'libsql';
import { toBound } from './parameters.ts';

/** Lists of different lengths make different texts, so the number of kept statements is bounded. */
const KEPT_STATEMENTS = 256;
const TRANSACTION_WORDS = new Set(['begin', 'commit', 'rollback']);

/** Durability of a commit: FULL survives a power cut, NORMAL may lose the newest commits to one (never to a crash). */
export type Synchronous = 'FULL' | 'NORMAL';

/**
 * A checkpoint holds up the commit that finds the log this long (4 KiB a page: 32 MB). SQLite's own 1000 pages made it
 * every fortieth job, which was the slowest percent: 8.5 ms a commit at p99 then, 0.9 ms with this, measured.
 */
const CHECKPOINT_PAGES = 8000;

export class LibsqlDatabase implements SqliteDatabase {
  readonly #database: Database.Database;
  /** Least recently used first. */
  readonly #statements = new Map<string, SqliteStatement>();
  readonly #listeners: ReadonlySet<(sql: string) => void>;
  /** As the connection has it, and as the next write must find it. */
  #synchronous: Synchronous | undefined;
  #asked: Synchronous;

  /** Opens or creates the file. `listeners` hear the text of every statement but begin, commit and rollback. */
  constructor(file: string, synchronous: Synchronous, listeners: ReadonlySet<(sql: string) => void>) {
    this.#listeners = listeners;
    this.#database = new Database(file);
    for (const pragma of [
      'journal_mode = WAL',
      'busy_timeout = 5000',
      'foreign_keys = ON',
      'temp_store = MEMORY',
      `wal_autocheckpoint = ${CHECKPOINT_PAGES}`,
    ]) {
      this.#database.prepare(`PRAGMA ${pragma}`).all();
    }
    this.#asked = synchronous;
  }

  /** For the commits from now on; not to be called inside a transaction, where SQLite refuses it. */
  setSynchronous(synchronous: Synchronous): void {
    this.#asked = synchronous;
  }

  prepare(sql: string): SqliteStatement {
    // Left until something may write, so that relaxed transactions in a row cost one switch there and one back.
    if (this.#synchronous !== this.#asked && !sql.startsWith('select ')) this.#switchSynchronous();
    if (this.#listeners.size > 0 && !TRANSACTION_WORDS.has(sql)) {
      for (const listener of this.#listeners) listener(sql);
    }
    const statement = this.#statements.get(sql) ?? this.#prepare(sql);
    this.#statements.delete(sql);
    this.#statements.set(sql, statement);
    if (this.#statements.size > KEPT_STATEMENTS) {
      const oldest = this.#statements.keys().next();
      if (!oldest.done) this.#statements.delete(oldest.value);
    }
    return statement;
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #switchSynchronous(): void {
    // Never a kept statement: this pragma takes effect when it is prepared, not when it runs.
    this.#database.exec(`PRAGMA synchronous = ${this.#asked}`);
    this.#synchronous = this.#asked;
  }

  /**
   * SQLite itself undoes a transaction whose statement found the disk full; undoing it again is an error that would hide
   * the one that says why.
   */
  #rollback(statement: Database.Statement): SqliteStatement {
    const undo = (): void => {
      if (this.#database.inTransaction) statement.run();
    };
    return {
      reader: false,
      all: () => {
        undo();
        return [];
      },
      run: () => {
        undo();
        return { changes: 0, lastInsertRowid: 0 };
      },
      iterate: () => {
        undo();
        return [].values();
      },
    };
  }

  #prepare(sql: string): SqliteStatement {
    const statement = this.#database.prepare(sql);
    if (sql === 'rollback') return this.#rollback(statement);
    return {
      reader: statement.reader,
      all: (parameters) => statement.all(parameters.map(toBound)).map(withBuffers),
      run: (parameters) => statement.run(parameters.map(toBound)),
      *iterate(parameters) {
        for (const row of statement.iterate(parameters.map(toBound))) yield withBuffers(row);
      },
    };
  }
}

/** libsql answers blobs as ArrayBuffer; they went in as Buffer. */
function withBuffers(row: unknown): unknown {
  const columns = row as Record<string, unknown>;
  for (const name in columns) {
    const value = columns[name];
    if (value instanceof ArrayBuffer) columns[name] = Buffer.from(value);
  }
  return columns;
}
