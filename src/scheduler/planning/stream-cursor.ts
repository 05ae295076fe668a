/**
 * Goes along one stream by arrival: its lanes merged, without those that were left out. Whoever goes by its age leaves those
 * behind it younger, as when it is dispatched.
 */
import { Heap } from '../../lib/heap.ts';
import type { PendingJob } from '../../store/jobs.ts';
import { type Ageing, agedFromAfter, effectivePriority } from './ageing.ts';
import { type FairShare, isReturned, type KeptTurn } from './fair-share.ts';
import type { Turn } from './pending-queue.ts';
import { arrivedBefore, type Line, type Stream } from './streams.ts';

/** A lane that was begun; `job` is its next one. */
interface Place {
  readonly lane: Line;
  job: PendingJob;
  at: number;
}

const isBefore = (a: Place, b: Place): boolean => arrivedBefore(a.job, b.job) < 0;

export class StreamCursor {
  readonly tenant: string;
  readonly #lines: readonly Line[];
  readonly #ageing: Ageing;
  readonly #kept: KeptTurn | undefined;
  #agedFrom: number;
  /** Null until the first job is stepped over: most streams are not looked at further. */
  #begun: Heap<Place> | null = null;
  #nextLine = 0;
  #head: Turn | null = null;
  #level = 0;

  constructor({ tenant, key, lines }: Stream, share: FairShare, ageing: Ageing) {
    this.tenant = tenant;
    this.#lines = lines;
    this.#ageing = ageing;
    this.#kept = share.keptOf(key);
    this.#agedFrom = share.agedFrom(key);
    const [lane] = lines;
    const job = lane?.jobs[0];
    if (lane && job) this.#setHead(job, lane);
  }

  /** The next job; the same until something is passed or left out. */
  get head(): Turn | null {
    return this.#head;
  }

  /** The priority that the next job counts as, if there is one. */
  get level(): number {
    return this.#level;
  }

  /** Where the next job starts at the latest, whatever its tenant's turn: it keeps an earlier one. */
  get keptStart(): number {
    const kept = this.#kept;
    return kept && kept.jobId === this.#head?.job.id ? kept.start : Number.POSITIVE_INFINITY;
  }

  /** Steps over the next job. */
  pass(): void {
    const begun = this.#begin();
    const place = begun.first();
    if (!place) return;
    if (this.#level > place.job.priority && !isReturned(place.job)) {
      const from = agedFromAfter(place.job, this.#agedFromOf(place.job), this.#ageing);
      this.#agedFrom = Math.max(this.#agedFrom, from);
    }
    const next = place.lane.jobs[++place.at];
    if (next) {
      place.job = next;
      begun.sinkFirst();
    } else begun.removeFirst();
    this.#look(begun);
  }

  /** Leaves the lane of the next job out from now on. */
  leaveOut(): void {
    const begun = this.#begin();
    begun.removeFirst();
    this.#look(begun);
  }

  #setHead(job: PendingJob, lane: Line): void {
    this.#head = { job, lane };
    this.#level = effectivePriority(job, this.#agedFromOf(job), this.#ageing);
  }

  #agedFromOf(job: PendingJob): number {
    return job.id === this.#kept?.jobId ? this.#kept.agedFrom : this.#agedFrom;
  }

  #begin(): Heap<Place> {
    if (this.#begun) return this.#begun;
    this.#begun = new Heap<Place>(isBefore);
    this.#look(this.#begun);
    return this.#begun;
  }

  /** Lanes stand by their first jobs: those behind the first one that is later need not be looked at yet. */
  #look(begun: Heap<Place>): void {
    for (;;) {
      const lane = this.#lines[this.#nextLine];
      const job = lane?.jobs[0];
      const first = begun.first();
      if (!lane || !job || (first && arrivedBefore(first.job, job) < 0)) {
        if (first) this.#setHead(first.job, first.lane);
        else this.#head = null;
        return;
      }
      begun.push({ lane, job, at: 0 });
      this.#nextLine++;
    }
  }
}
