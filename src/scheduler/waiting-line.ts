/**
 * Keeps the planner's queue in line with the rows: a hint loads one job. Hints may be lost, so every 2 s the rows are
 * counted, which shows a job that was not announced; every 10 s or more they are read, which shows also that one came and
 * another one went.
 */
import type { Needs } from '../domain/capabilities.ts';
import { findPendingJobs, type PendingJob, pendingJobs, queueCounts } from '../store/jobs.ts';
import { findNeeds } from '../store/needs.ts';
import type { Db } from '../store/open.ts';
import { PendingQueue } from './planning/pending-queue.ts';

const COUNT_EVERY_MS = 2000;
const RELOAD_EVERY_MS = 10_000;
/** A long line is read less often, as that costs: a minute between two readings of 12,000 jobs or more. */
const RELOAD_MS_PER_JOB = 5;
const RELOAD_AT_LEAST_EVERY_MS = 60_000;

export class WaitingLine {
  readonly queue = new PendingQueue();
  readonly #db: Db;
  readonly #noted = new Set<string>();
  #needs = new Map<string, Needs>();
  #countedAt = Number.NEGATIVE_INFINITY;
  #loadedAt = Number.NEGATIVE_INFINITY;

  constructor(db: Db) {
    this.#db = db;
  }

  /** Needs of the classes that wait. */
  get needs(): ReadonlyMap<string, Needs> {
    return this.#needs;
  }

  /** The job's row has changed: read it at the next refresh. */
  note(jobId: string): void {
    this.#noted.add(jobId);
  }

  /** Messages were lost: read all rows at the next refresh. */
  distrust(): void {
    this.#loadedAt = Number.NEGATIVE_INFINITY;
  }

  /** `now` in epoch ms, `tick` in monotonic ms. */
  async refresh(now: number, tick: number): Promise<void> {
    await this.#readNoted(now);
    if (tick - this.#countedAt >= COUNT_EVERY_MS) {
      const { pending } = await queueCounts(this.#db);
      this.#countedAt = tick;
      if (pending !== this.queue.size) this.distrust();
    }
    if (tick - this.#loadedAt >= this.#reloadEveryMs()) {
      // before the read: news that are lost meanwhile are asked for once more
      this.#loadedAt = tick;
      await this.#reload(now).catch((error: unknown) => {
        this.distrust();
        throw error;
      });
    }
    this.queue.ripen(now);
    await this.#readNeeds();
  }

  #reloadEveryMs(): number {
    return Math.min(RELOAD_AT_LEAST_EVERY_MS, Math.max(RELOAD_EVERY_MS, this.queue.size * RELOAD_MS_PER_JOB));
  }

  async #readNoted(now: number): Promise<void> {
    if (this.#noted.size === 0) return;
    const ids = [...this.#noted];
    this.#noted.clear();
    const jobs = await findPendingJobs(this.#db, ids).catch((error: unknown) => {
      for (const id of ids) this.#noted.add(id);
      throw error;
    });
    const found = new Map(jobs.map((job) => [job.id, job]));
    for (const id of ids) {
      const job = found.get(id);
      if (job) this.queue.put(job, now);
      else this.queue.remove(id);
    }
  }

  async #reload(now: number): Promise<void> {
    const rows = await pendingJobs(this.#db);
    const there = new Set(rows.map((row) => row.id));
    for (const id of [...this.queue.ids()]) if (!there.has(id)) this.queue.remove(id);
    for (const row of rows) if (!same(this.queue.get(row.id), row)) this.queue.put(row, now);
  }

  async #readNeeds(): Promise<void> {
    const classes = this.queue.classes();
    const unknown = classes.filter((key) => !this.#needs.has(key));
    if (unknown.length > 0) {
      for (const [key, needs] of await findNeeds(this.#db, unknown)) this.#needs.set(key, needs);
    }
    if (this.#needs.size > 2 * classes.length + 100) {
      const waiting = new Set(classes);
      this.#needs = new Map([...this.#needs].filter(([key]) => waiting.has(key)));
    }
  }
}

function same(a: PendingJob | undefined, b: PendingJob): boolean {
  return a !== undefined && a.seq === b.seq && a.notBefore === b.notBefore;
}
