/**
 * The jobs that wait, in memory, kept in the order they are served: priority 10 to 1, within a level by arrival. Jobs
 * with the same needs form a class, so that a class which no free instance can run costs nothing to skip. Jobs that
 * back off after a failed attempt are set aside until they are due. A copy of rows: the scheduler keeps it fresh.
 */
import type { PendingJob } from '../store/jobs.ts';

/** Negative when `a` is served before `b`; never 0 for two jobs. */
export function servedBefore(a: PendingJob, b: PendingJob): number {
  return b.priority - a.priority || a.createdAt - b.createdAt || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/** One walk over the waiting jobs in serving order; it changes nothing. */
export interface QueueWalk {
  /** The next job whose class is not in `skipped`; the same answer until `pass` is called. */
  peek(skipped: ReadonlySet<string>): PendingJob | null;
  /** Steps over the job that `peek` answered. */
  pass(job: PendingJob): void;
}

export class PendingQueue {
  readonly #jobs = new Map<string, PendingJob>();
  /** Class of needs to its due jobs, sorted; no empty lists. */
  readonly #classes = new Map<string, PendingJob[]>();
  readonly #setAside = new Map<string, PendingJob>();
  readonly #withDeadline = new Map<string, PendingJob>();
  /** Lower bounds, so that nobody looks through 100,000 jobs to find that none is due. */
  #soonestDue = Number.POSITIVE_INFINITY;
  #soonestDeadline = Number.POSITIVE_INFINITY;

  get size(): number {
    return this.#jobs.size;
  }

  has(id: string): boolean {
    return this.#jobs.has(id);
  }

  get(id: string): PendingJob | undefined {
    return this.#jobs.get(id);
  }

  ids(): Iterable<string> {
    return this.#jobs.keys();
  }

  /** Puts a job in, or replaces what is known of it. */
  put(job: PendingJob, now: number): void {
    this.remove(job.id);
    this.#jobs.set(job.id, job);
    if (job.deadlineAt !== null) {
      this.#withDeadline.set(job.id, job);
      this.#soonestDeadline = Math.min(this.#soonestDeadline, job.deadlineAt);
    }
    if (job.notBefore > now) {
      this.#setAside.set(job.id, job);
      this.#soonestDue = Math.min(this.#soonestDue, job.notBefore);
    } else this.#line(job);
  }

  remove(id: string): void {
    const job = this.#jobs.get(id);
    if (!job) return;
    this.#jobs.delete(id);
    this.#withDeadline.delete(id);
    if (this.#setAside.delete(id)) return;
    const line = this.#classes.get(job.needsKey) ?? [];
    const at = position(line, job);
    if (line[at]?.id === id) line.splice(at, 1);
    if (line.length === 0) this.#classes.delete(job.needsKey);
  }

  /** Lets the jobs that are due by now take their place in line. */
  ripen(now: number): void {
    if (now < this.#soonestDue) return;
    this.#soonestDue = Number.POSITIVE_INFINITY;
    for (const job of [...this.#setAside.values()]) {
      if (job.notBefore > now) this.#soonestDue = Math.min(this.#soonestDue, job.notBefore);
      else {
        this.#setAside.delete(job.id);
        this.#line(job);
      }
    }
  }

  /** Jobs whose deadline has passed. */
  overdue(now: number): PendingJob[] {
    if (now < this.#soonestDeadline) return [];
    this.#soonestDeadline = Number.POSITIVE_INFINITY;
    return [...this.#withDeadline.values()].filter((job) => {
      const at = job.deadlineAt ?? now;
      if (at > now) this.#soonestDeadline = Math.min(this.#soonestDeadline, at);
      return at <= now;
    });
  }

  /** Nothing becomes due or overdue before this moment (epoch ms); null when there is nothing to wait for. */
  nextChangeAt(): number | null {
    const at = Math.min(this.#soonestDue, this.#soonestDeadline);
    return Number.isFinite(at) ? at : null;
  }

  /** Classes that have a due job waiting. */
  classes(): string[] {
    return [...this.#classes.keys()];
  }

  /** How many due jobs of the class wait. */
  waiting(needsKey: string): number {
    return this.#classes.get(needsKey)?.length ?? 0;
  }

  walk(): QueueWalk {
    const passed = new Map<string, number>();
    return {
      peek: (skipped) => {
        let best: PendingJob | null = null;
        for (const [needsKey, line] of this.#classes) {
          const head = skipped.has(needsKey) ? undefined : line[passed.get(needsKey) ?? 0];
          if (head && (!best || servedBefore(head, best) < 0)) best = head;
        }
        return best;
      },
      pass: (job) => {
        passed.set(job.needsKey, (passed.get(job.needsKey) ?? 0) + 1);
      },
    };
  }

  #line(job: PendingJob): void {
    const line = this.#classes.get(job.needsKey);
    if (!line) this.#classes.set(job.needsKey, [job]);
    else line.splice(position(line, job), 0, job);
  }
}

/** Where the job stands, or would stand, in a sorted line. The end is tried first, as most jobs arrive there. */
function position(line: readonly PendingJob[], job: PendingJob): number {
  const last = line.at(-1);
  if (last && servedBefore(last, job) < 0) return line.length;
  let low = 0;
  let high = line.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const there = line[middle];
    if (there && servedBefore(there, job) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
