/**
 * The jobs that wait, in memory, kept in the order they are served: priority 10 to 1, within a level by arrival. Jobs that
 * can be held back for one reason stand in a lane of their own, so that a lane which must wait costs nothing to skip and
 * holds up no other. Jobs that back off after a failed attempt are set aside until they are due. A copy of rows: the
 * scheduler keeps it fresh.
 */
import type { PendingJob } from '../store/jobs.ts';
import { type Lane, laneOf, nameOf } from './lane.ts';

/** Negative when `a` is served before `b`; never 0 for two jobs. */
export function servedBefore(a: PendingJob, b: PendingJob): number {
  return b.priority - a.priority || a.createdAt - b.createdAt || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/** A job whose turn it is. */
export interface Turn {
  readonly job: PendingJob;
  readonly lane: Lane;
}

/** One walk over the waiting jobs in serving order; it changes nothing. */
export interface QueueWalk {
  /**
   * The next job whose lane is not in `skipped`; the same answer until `pass` is called. Of one tenant it is always the one
   * served first; `between` decides between tenants, else that rule holds there too.
   */
  peek(skipped: ReadonlySet<Lane>, between?: (a: PendingJob, b: PendingJob) => number): Turn | null;
  /** Steps over the job that `peek` answered. */
  pass(turn: Turn): void;
}

interface Line extends Lane {
  readonly name: string;
  /** Sorted; never empty between two calls. */
  readonly jobs: PendingJob[];
}

/** Whoever could not end an overdue job tries again after this long, not at every look. */
const OVERDUE_AGAIN_MS = 1000;

export class PendingQueue {
  readonly #jobs = new Map<string, PendingJob>();
  /** Tenant to name of the lane to its due jobs; nothing empty. */
  readonly #tenants = new Map<string, Map<string, Line>>();
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
    const lines = this.#tenants.get(job.tenant);
    const line = lines?.get(nameOf(laneOf(job)));
    if (!lines || !line) return;
    const at = position(line.jobs, job);
    if (line.jobs[at]?.id === id) line.jobs.splice(at, 1);
    if (line.jobs.length === 0) lines.delete(line.name);
    if (lines.size === 0) this.#tenants.delete(job.tenant);
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

  /** Jobs whose deadline has passed; those that still wait are named again a moment later. */
  overdue(now: number): PendingJob[] {
    if (now < this.#soonestDeadline) return [];
    this.#soonestDeadline = Number.POSITIVE_INFINITY;
    return [...this.#withDeadline.values()].filter((job) => {
      const at = job.deadlineAt ?? now;
      this.#soonestDeadline = Math.min(this.#soonestDeadline, at > now ? at : now + OVERDUE_AGAIN_MS);
      return at <= now;
    });
  }

  /** Nothing becomes due or overdue before this moment (epoch ms); null when there is nothing to wait for. */
  nextChangeAt(): number | null {
    const at = Math.min(this.#soonestDue, this.#soonestDeadline);
    return Number.isFinite(at) ? at : null;
  }

  /** Lanes that have a due job waiting. */
  lanes(): Lane[] {
    return [...this.#tenants.values()].flatMap((lines) => [...lines.values()]);
  }

  /** Classes of needs that have a due job waiting. */
  classes(): string[] {
    return [...new Set(this.lanes().map((lane) => lane.needsKey))];
  }

  /** How many due jobs of the lane wait. */
  waiting(lane: Lane): number {
    return this.#tenants.get(lane.tenant)?.get(nameOf(lane))?.jobs.length ?? 0;
  }

  walk(): QueueWalk {
    const passed = new Map<Lane, number>();
    return {
      peek: (skipped, between = servedBefore) => {
        let best: Turn | null = null;
        for (const lines of this.#tenants.values()) {
          const first = firstOf(lines.values(), skipped, passed);
          if (first && (!best || between(first.job, best.job) < 0)) best = first;
        }
        return best;
      },
      pass: ({ lane }) => {
        passed.set(lane, (passed.get(lane) ?? 0) + 1);
      },
    };
  }

  #line(job: PendingJob): void {
    const lane = laneOf(job);
    const name = nameOf(lane);
    let lines = this.#tenants.get(job.tenant);
    if (!lines) {
      lines = new Map();
      this.#tenants.set(job.tenant, lines);
    }
    const line = lines.get(name);
    if (!line) lines.set(name, { ...lane, name, jobs: [job] });
    else line.jobs.splice(position(line.jobs, job), 0, job);
  }
}

/** The job of one tenant that is served first. */
function firstOf(
  lines: Iterable<Line>,
  skipped: ReadonlySet<Lane>,
  passed: ReadonlyMap<Lane, number>,
): Turn | null {
  let job: PendingJob | undefined;
  let lane: Line | undefined;
  for (const line of lines) {
    const head = skipped.has(line) ? undefined : line.jobs[passed.get(line) ?? 0];
    if (!head || (job && servedBefore(job, head) < 0)) continue;
    job = head;
    lane = line;
  }
  return job && lane ? { job, lane } : null;
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
