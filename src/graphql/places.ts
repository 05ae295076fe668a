/** Places of waiting jobs by the leader's picture of the queue, without asking the store. Pure. */
import type { Job } from '../domain/job.ts';
import type { Mark, MarkedStream, Survey } from '../domain/survey.ts';
import { cappedReason } from '../domain/tenant-limits.ts';

/** What a place is told by. */
export type Waiting = Pick<Job, 'id' | 'tenant' | 'priority' | 'createdAt' | 'needsKey'>;

export function waitingOf({ id, tenant, priority, createdAt, needsKey }: Waiting): Waiting {
  return { id, tenant, priority, createdAt, needsKey };
}

export interface Standing {
  /** From 1. */
  readonly position: number;
  /** Expected time until it starts, in ms; null while nothing is known; absent when rows alone were read. */
  readonly waitMs?: number | null;
}

/** An older picture than this is worse than counting rows: nobody leads, or nobody hears of it. */
const FRESH_MS = 15_000;

export class Places {
  readonly #survey: Survey;
  readonly #front: ReadonlyMap<string, number>;
  readonly #streams: ReadonlyMap<string, MarkedStream>;
  readonly #stranded: ReadonlySet<string>;
  readonly #capped: ReadonlyMap<string, number>;
  /** Jobs that waited when it was made. */
  readonly size: number;

  constructor(survey: Survey) {
    this.#survey = survey;
    const last = ({ marks }: MarkedStream): number => marks.at(-1)?.rank ?? 0;
    this.size = survey.streams.reduce((most, one) => Math.max(most, last(one)), survey.front.length);
    this.#front = new Map(survey.front.map(([id], index) => [id, index]));
    this.#streams = new Map(survey.streams.map((stream) => [keyOf(stream), stream]));
    this.#stranded = new Set(survey.stranded);
    this.#capped = new Map(survey.capped);
  }

  get survey(): Survey {
    return this.#survey;
  }

  /** `now` in epoch ms. */
  isFresh(now: number): boolean {
    return now - this.#survey.at <= FRESH_MS;
  }

  /** The job waited when the picture was made. */
  knows(job: Waiting): boolean {
    if (this.#front.has(job.id)) return true;
    const marks = this.#streams.get(keyOf(job))?.marks ?? [];
    const next = marks[firstAfter(marks, job.createdAt)];
    // one that stood in front would be named there
    return next !== undefined && next.rank > this.#survey.front.length;
  }

  of(job: Waiting, now: number): Standing {
    const index = this.#front.get(job.id);
    const { rank, startsAt } = index === undefined ? this.#reckoned(job) : this.#exact(index);
    return { position: rank, waitMs: this.#waitMs(job, startsAt, now) };
  }

  /** Of a job whose position is known otherwise: it starts when the one would that stood there. */
  at(position: number, job: Waiting, now: number): Standing {
    if (position > this.#survey.front.length) return { position };
    return { position, waitMs: this.#waitMs(job, this.#exact(position - 1).startsAt, now) };
  }

  /** Why the jobs of the tenant wait whatever is free; null where nothing of its own holds them up. */
  heldBack(tenant: string): string | null {
    const most = this.#capped.get(tenant);
    return most === undefined ? null : cappedReason(most);
  }

  /** Expected time until nothing waits or runs, in ms; null while nothing is known. */
  drainMs(now: number): number | null {
    const { drainedAt } = this.#survey;
    return drainedAt === null ? null : Math.max(0, Math.round(drainedAt - now));
  }

  #waitMs({ needsKey }: Waiting, startsAt: number | null, now: number): number | null {
    if (startsAt === null || this.#stranded.has(needsKey)) return null;
    return Math.max(0, Math.round(startsAt - now));
  }

  #exact(index: number): Omit<Mark, 'createdAt'> {
    return { rank: index + 1, startsAt: this.#survey.front[index]?.[1] ?? null };
  }

  /** Between the marks of its stream by when it came; a newer one is the next after the last. */
  #reckoned(job: Waiting): Omit<Mark, 'createdAt'> {
    const marks = this.#streams.get(keyOf(job))?.marks ?? [];
    const after = firstAfter(marks, job.createdAt);
    const [before, next] = [marks[after - 1], marks[after]];
    const least = this.#survey.front.length + 1;
    if (!next) {
      // its stream has nobody before it, or is not known: behind the front at most
      const last = before ?? { rank: 0, startsAt: null };
      return { rank: Math.max(least, last.rank + 1), startsAt: last.startsAt };
    }
    if (!before) return { ...next, rank: Math.max(least, next.rank) };
    const share = (job.createdAt - before.createdAt) / Math.max(1, next.createdAt - before.createdAt);
    const rank = Math.round(before.rank + share * (next.rank - before.rank));
    const known = before.startsAt !== null && next.startsAt !== null;
    const startsAt = known ? before.startsAt + share * (next.startsAt - before.startsAt) : next.startsAt;
    return { rank: Math.max(least, rank), startsAt };
  }
}

/** Where the first mark stands that is of this moment or later. */
function firstAfter(marks: readonly Mark[], createdAt: number): number {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((marks[middle]?.createdAt ?? 0) < createdAt) low = middle + 1;
    else high = middle;
  }
  return low;
}

function keyOf({ tenant, priority }: Pick<Job, 'tenant' | 'priority'>): string {
  return `${priority}\n${tenant}`;
}
