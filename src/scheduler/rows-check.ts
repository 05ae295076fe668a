/**
 * Compares the open attempts in the rows with the runs of this process, now and then: a hint of a cancel may be lost, the
 * row is not; and an open attempt that nobody follows is followed again.
 */
import type { Clock } from '../lib/clock.ts';
import { claimOpenAttempts } from '../store/attempts.ts';
import { type Adopted, type AdoptParts, adoptThese } from './adopt.ts';
import type { Runs } from './runs/runs.ts';

export interface RowsCheckParts extends AdoptParts {
  readonly clock: Clock;
  readonly everyMs: number;
  readonly runs: Runs;
  /** The job was canceled or deleted. */
  readonly notWanted: (jobId: string) => void;
  readonly resume: (adopted: Adopted) => void;
}

export class RowsCheck {
  readonly #parts: RowsCheckParts;
  readonly #term: number;
  /** Open attempts that nobody followed when the rows were last checked. */
  #orphans: ReadonlySet<string> = new Set();
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: RowsCheckParts, term: number) {
    this.#parts = parts;
    this.#term = term;
  }

  /** News may have been lost: look at the next opportunity. */
  distrust(): void {
    this.#checkedAt = Number.NEGATIVE_INFINITY;
  }

  async checkInTime(): Promise<void> {
    const { db, clock, everyMs, runs, notWanted, resume } = this.#parts;
    if (clock.monotonic() - this.#checkedAt < everyMs) return;
    // before the read: news that are lost meanwhile are asked for once more
    this.#checkedAt = clock.monotonic();
    // those of an older term too, which a transaction under way at the takeover may have left
    const open = await claimOpenAttempts(db, this.#term).catch((error: unknown) => {
      this.distrust();
      throw error;
    });
    for (const attempt of open) if (attempt.jobStatus !== 'PROCESSING') notWanted(attempt.jobId);
    const orphans = open.filter((attempt) => !runs.has(attempt.id));
    // seen twice: the first time its run may just have ended
    const sure = orphans.filter((attempt) => this.#orphans.has(attempt.id));
    this.#orphans = new Set(orphans.map((attempt) => attempt.id));
    for (const one of await adoptThese(this.#parts, this.#term, sure)) resume(one);
  }
}
