/** Goes along one stream by arrival: its lanes merged, without those that may not go. */
import { Heap } from '../lib/heap.ts';
import type { PendingJob } from '../store/jobs.ts';
import type { Turn } from './pending-queue.ts';
import { arrivedBefore, type Line, type Stream } from './streams.ts';

/** A lane that was begun; `job` is its next one. */
interface Place {
  readonly lane: Line;
  job: PendingJob;
  at: number;
}

export class StreamCursor {
  readonly stream: Stream;
  readonly #begun = new Heap<Place>((a, b) => arrivedBefore(a.job, b.job) < 0);
  #lines = 0;

  constructor(stream: Stream) {
    this.stream = stream;
  }

  /** The next job; the same until `pass` is called. A lane that may not go is left out from then on. */
  head(mayGo: (turn: Turn) => boolean): Turn | null {
    for (;;) {
      this.#begin();
      const place = this.#begun.first();
      if (!place || mayGo(place)) return place ? { job: place.job, lane: place.lane } : null;
      this.#begun.removeFirst();
    }
  }

  pass(): void {
    const place = this.#begun.first();
    if (!place) return;
    const next = place.lane.jobs[++place.at];
    if (next) {
      place.job = next;
      this.#begun.sinkFirst();
    } else this.#begun.removeFirst();
  }

  /** Lanes stand by their first jobs: those behind the first one that is later need not be looked at yet. */
  #begin(): void {
    for (;;) {
      const lane = this.stream.lines[this.#lines];
      const [job] = lane?.jobs ?? [];
      const first = this.#begun.first();
      if (!lane || !job || (first && arrivedBefore(first.job, job) < 0)) return;
      this.#begun.push({ lane, job, at: 0 });
      this.#lines++;
    }
  }
}
