/** Marks along each stream of the queue, few enough to travel, by which jobs between them are reckoned. Pure. */
import type { Mark, MarkedStream } from '../../domain/survey.ts';
import type { PendingJob } from '../../store/jobs.ts';

interface Growing {
  readonly tenant: string;
  readonly priority: number;
  readonly marks: Mark[];
  count: number;
  last: PendingJob;
  lastRank: number;
  /** Of the last job that can run. */
  startsAt: number | null;
}

/** About so many marks in all, besides the ends of streams. */
const MOST_MARKS = 4000;
const LEAST_STEP = 25;

export class StreamMarks {
  readonly #step: number;
  readonly #streams = new Map<string, Growing>();
  readonly #stranded = new Set<string>();
  #rank = 0;

  /** Of so many jobs in all. */
  constructor(jobs: number) {
    this.#step = Math.max(LEAST_STEP, Math.ceil(jobs / MOST_MARKS));
  }

  /** The next job in order. */
  add(job: PendingJob, startsAt: number | null, isStranded: boolean): void {
    this.#rank++;
    if (isStranded) this.#stranded.add(job.needsKey);
    const { tenant, priority } = job;
    const key = `${priority}\n${tenant}`;
    const known = this.#streams.get(key);
    const stream = known ?? { tenant, priority, marks: [], count: 0, last: job, lastRank: 0, startsAt };
    if (!known) this.#streams.set(key, stream);
    stream.last = job;
    stream.lastRank = this.#rank;
    stream.startsAt = isStranded ? stream.startsAt : startsAt;
    if (stream.count++ % this.#step === 0) mark(stream);
  }

  streams(): MarkedStream[] {
    return [...this.#streams.values()].map((stream) => {
      if (stream.marks.at(-1)?.rank !== stream.lastRank) mark(stream);
      const { tenant, priority, marks } = stream;
      return { tenant, priority, marks };
    });
  }

  /** Classes of needs that no instance can run. */
  stranded(): string[] {
    return [...this.#stranded];
  }
}

function mark({ marks, last, lastRank, startsAt }: Growing): void {
  marks.push({ createdAt: last.createdAt, rank: lastRank, startsAt });
}
