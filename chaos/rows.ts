/** Looks into the store of a gateway from beside, also while nobody runs it. Reads only. */
import { join } from 'node:path';
import Database from 'libsql';
import type { AttemptState, JobStatus } from '../src/domain/job.ts';

export interface OpenRow {
  readonly id: string;
  readonly job_id: string;
  readonly instance_name: string;
  readonly state: AttemptState;
  readonly term: number;
  readonly started_at: number;
  /** Null when the job was deleted. */
  readonly status: JobStatus | null;
}

/** For any engine. */
export const OPEN = `select a.id, a.job_id, a.instance_name, a.state, a.term, a.started_at, j.status
  from attempts a left join jobs j on j.id = a.job_id where a.outcome is null`;
export const UNFINISHED = "select count(*) as n from jobs where status in ('PENDING', 'PROCESSING')";

export class Rows {
  readonly #database: Database.Database;

  /** The store must exist. */
  constructor(dataDir: string) {
    this.#database = new Database(join(dataDir, 'comfyfleet.db'), { readonly: true, timeout: 2000 });
  }

  /** Attempts that hold a place. */
  open(): OpenRow[] {
    return this.#all<OpenRow>(OPEN);
  }

  /** Jobs that wait or run. */
  unfinished(): number {
    return this.#all<{ n: number }>(UNFINISHED)[0]?.n ?? 0;
  }

  close(): void {
    this.#database.close();
  }

  /** A gateway that starts may hold the store for a moment. */
  #all<T>(sql: string): T[] {
    for (let tries = 1; ; tries += 1) {
      try {
        return this.#database.prepare(sql).all() as T[];
      } catch (error) {
        if (tries === 5) throw error;
      }
    }
  }
}
