/**
 * Places whose writing failed: the answer may have been lost and not the write. What was written is begun as if the answer
 * had come, since nothing was posted yet; what was not waits on. (What is written later still, rows-check.ts finds.)
 */
import { findAttempt } from '../store/attempts.ts';
import { findGraph, findJob } from '../store/jobs.ts';
import type { Db } from '../store/open.ts';
import type { Adopted } from './adopt.ts';
import type { Placement } from './place-job.ts';
import type { RunSubject } from './runs/active-run.ts';
import type { Runs } from './runs/runs.ts';

export interface DoubtfulPlace extends Placement {
  readonly isRetry: boolean;
}

export class DoubtfulPlaces {
  readonly #db: Db;
  readonly #runs: Pick<Runs, 'has'>;
  readonly #places = new Map<string, DoubtfulPlace>();

  constructor(db: Db, runs: Pick<Runs, 'has'>) {
    this.#db = db;
    this.#runs = runs;
  }

  add(place: DoubtfulPlace): void {
    this.#places.set(place.attemptId, place);
  }

  /** Calls back for each once it is known; throws, and knows it next time, while the store does not tell. */
  async settle(
    term: number,
    { begin, note }: { begin(placed: Adopted, place: DoubtfulPlace): void; note(jobId: string): void },
  ): Promise<void> {
    for (const place of [...this.#places.values()]) {
      const placed = await this.#find(place, term);
      this.#places.delete(place.attemptId);
      if (placed) begin(placed, place);
      else note(place.job.id);
    }
  }

  async #find({ attemptId, job: { id }, member }: DoubtfulPlace, term: number): Promise<Adopted | null> {
    const attempt = await findAttempt(this.#db, attemptId);
    if (attempt?.state !== 'SUBMITTING' || attempt.term !== term || this.#runs.has(attemptId)) return null;
    const job = await findJob(this.#db, 'any', id);
    if (!job) return null;
    const graph = (await findGraph(this.#db, id)) ?? {};
    const subject: RunSubject = { job, attempt, member, term, graph, adopted: false, knownOutputs: [] };
    return { subject, canceled: job.status !== 'PROCESSING' };
  }
}
