/** Goes along one stream by arrival: its lanes merged, without those that were left out. */
import { Heap } from '../../lib/heap.ts';
import type { PendingJob } from '../../store/jobs.ts';
import type { Turn } from './pending-queue.ts';
import { arrivedBefore, type Line, type Stream } from './streams.ts';

/** A lane that was begun; `job` is its next one. */
interface Place {
  readonly lane: Line;
  job: PendingJob;
  at: number;
}

export class StreamCursor {
  readonly tenant: string;
  readonly #lines: readonly Line[];
  readonly #begun = new Heap<Place>((a, b) => arrivedBefore(a.job, b.job) < 0);
  #nextLine = 0;
  #head: Turn | null = null;

  constructor({ tenant, lines }: Stream) {
    this.tenant = tenant;
    this.#lines = lines;
    this.#look();
  }

  /** The next job; the same until something is passed or left out. */
  get head(): Turn | null {
    return this.#head;
  }

  /** Steps over the next job. */
  pass(): void {
    const place = this.#begun.first();
    const next = place?.lane.jobs[++place.at];
    if (place && next) {
      place.job = next;
      this.#begun.sinkFirst();
    } else this.#begun.removeFirst();
    this.#look();
  }

  /** Leaves the lane of the next job out from now on. */
  leaveOut(): void {
    this.#begun.removeFirst();
    this.#look();
  }

  /** Lanes stand by their first jobs: those behind the first one that is later need not be looked at yet. */
  #look(): void {
    for (;;) {
      const lane = this.#lines[this.#nextLine];
      const job = lane?.jobs[0];
      const first = this.#begun.first();
      if (!lane || !job || (first && arrivedBefore(first.job, job) < 0)) {
        this.#head = first ? { job: first.job, lane: first.lane } : null;
        return;
      }
      this.#begun.push({ lane, job, at: 0 });
      this.#nextLine++;
    }
  }
}
