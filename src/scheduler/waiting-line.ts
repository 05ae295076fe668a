/**
 * Keeps the planner's queue in line with the rows: a hint loads one job. Hints may be lost, so every 2 s the rows that are
 * not quite new are summed up, in one row however many wait; only where that differs from the queue are they all read.
 */
import type { Needs } from '../domain/capabilities.ts';
import { findPendingJobs, type PendingJob, pendingJobs } from '../store/jobs.ts';
import { findNeeds } from '../store/needs.ts';
import type { Db } from '../store/open.ts';
import { arrivalMark, waitingSummary } from '../store/waiting-summary.ts';
import { PendingQueue } from './planning/pending-queue.ts';

const CHECK_EVERY_MS = 2000;
/** A long line is checked less often, as that costs: every 10 s at 100,000 jobs. */
const CHECK_MS_PER_JOB = 0.1;
/** What was told of a job that arrived later may still be on its way. */
const ON_ITS_WAY_MS = 1000;

export class WaitingLine {
  readonly queue = new PendingQueue();
  readonly #db: Db;
  readonly #noted = new Set<string>();
  #needs = new Map<string, Needs>();
  #checkedAt = Number.NEGATIVE_INFINITY;
  #isTrusted = false;

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
    this.#isTrusted = false;
  }

  /** `now` in epoch ms, `tick` in monotonic ms. */
  async refresh(now: number, tick: number): Promise<void> {
    await this.#readNoted(now);
    if (tick - this.#checkedAt >= Math.max(CHECK_EVERY_MS, this.queue.size * CHECK_MS_PER_JOB)) {
      if (!(await this.#isInLine(now - ON_ITS_WAY_MS))) this.distrust();
      this.#checkedAt = tick;
    }
    if (!this.#isTrusted) {
      // before the read: news that are lost meanwhile are asked for once more
      this.#isTrusted = true;
      await this.#reload(now).catch((error: unknown) => {
        this.distrust();
        throw error;
      });
    }
    this.queue.ripen(now);
    await this.#readNeeds();
  }

  /** Whether the jobs that arrived until then are those of the rows. */
  async #isInLine(until: number): Promise<boolean> {
    const rows = await waitingSummary(this.#db, until);
    let [count, marks] = [0, 0];
    for (const { createdAt } of this.queue.jobs()) {
      if (createdAt > until) continue;
      count++;
      marks += arrivalMark(createdAt);
    }
    return count === rows.count && marks === rows.marks;
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
