/**
 * The jobs that wait, in memory. Those whose turn may come stand in streams (streams.ts); those that back off after a failed
 * attempt are set aside until they are due. A copy of rows: the scheduler keeps it fresh. Only how often a job was overtaken
 * is nowhere else; who leads next counts anew.
 */
import type { PendingJob } from '../../store/jobs.ts';
import type { Lane } from './lane.ts';
import { type Line, type Stream, Streams } from './streams.ts';

/** A job whose turn it is. */
export interface Turn {
  readonly job: PendingJob;
  readonly lane: Lane;
}

/** Whoever could not end an overdue job tries again after this long, not at every look. */
const OVERDUE_AGAIN_MS = 1000;

export class PendingQueue {
  readonly #jobs = new Map<string, PendingJob>();
  readonly #streams = new Streams();
  /** How often jobs were overtaken; absent means never. */
  readonly #overtaken = new Map<string, number>();
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

  /** In no order; those that back off too. */
  jobs(): Iterable<PendingJob> {
    return this.#jobs.values();
  }

  /** Puts a job in, or replaces what is known of it. */
  put(job: PendingJob, now: number): void {
    this.#take(job.id);
    this.#jobs.set(job.id, job);
    if (job.deadlineAt !== null) {
      this.#withDeadline.set(job.id, job);
      this.#soonestDeadline = Math.min(this.#soonestDeadline, job.deadlineAt);
    }
    if (job.notBefore > now) {
      this.#setAside.set(job.id, job);
      this.#soonestDue = Math.min(this.#soonestDue, job.notBefore);
    } else this.#streams.add(job);
  }

  remove(id: string): void {
    this.#take(id);
    this.#overtaken.delete(id);
  }

  /** Others went where these could have gone, and whose turn was before. Those that wait no longer are passed by. */
  overtake(ids: Iterable<string>): void {
    for (const id of ids) if (this.#jobs.has(id)) this.#overtaken.set(id, this.overtaken(id) + 1);
  }

  /** How often the waiting job was overtaken. */
  overtaken(id: string): number {
    return this.#overtaken.get(id) ?? 0;
  }

  /** Lets the jobs that are due by now take their place in line. */
  ripen(now: number): void {
    if (now < this.#soonestDue) return;
    this.#soonestDue = Number.POSITIVE_INFINITY;
    for (const job of [...this.#setAside.values()]) {
      if (job.notBefore > now) this.#soonestDue = Math.min(this.#soonestDue, job.notBefore);
      else {
        this.#setAside.delete(job.id);
        this.#streams.add(job);
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

  /** The due jobs, as order-walk.ts reads them. */
  streams(): Iterable<Stream> {
    return this.#streams.all();
  }

  /** The same, but each as it is when it is asked for, whoever comes and goes later. */
  frozenStreams(): Iterable<Stream> {
    return this.#streams.copies();
  }

  /** Lanes that have a due job waiting. */
  lanes(): Line[] {
    return this.#streams.lines();
  }

  /** Lanes of a class of needs that have a due job waiting. */
  lanesOf(needsKey: string): Iterable<Line> {
    return this.#streams.linesOf(needsKey);
  }

  /** Classes of needs that have a due job waiting. */
  classes(): string[] {
    return this.#streams.classes();
  }

  /** How many due jobs of the class wait. */
  waitingOf(needsKey: string): number {
    return this.#streams.waitingOf(needsKey);
  }

  #take(id: string): void {
    const job = this.#jobs.get(id);
    if (!job) return;
    this.#jobs.delete(id);
    this.#withDeadline.delete(id);
    if (!this.#setAside.delete(id)) this.#streams.remove(job);
  }
}
