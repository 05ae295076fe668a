/**
 * The jobs whose turn may come, in the shape in which they are served: one stream for each tenant and submitted priority,
 * in it the lanes by arrival of their first job, in each lane the jobs by arrival. A job that comes or goes moves its own
 * lane only, so nothing is sorted as time passes.
 */
import type { PendingJob } from '../../store/jobs.ts';
import { type Lane, laneNameOf, laneOf } from './lane.ts';

/** A lane with its jobs. */
export interface Line extends Lane {
  /** By arrival; never empty between two calls. */
  readonly jobs: PendingJob[];
}

export interface Stream {
  readonly key: string;
  readonly tenant: string;
  readonly priority: number;
  /** By arrival of the first job. */
  readonly lines: Line[];
}

/** Negative when `a` came before `b`; never 0 for two jobs. */
export function arrivedBefore(a: PendingJob, b: PendingJob): number {
  return a.createdAt - b.createdAt || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

interface Class {
  readonly lines: Set<Line>;
  waiting: number;
}

export class Streams {
  readonly #streams = new Map<string, Stream>();
  /** By name of the stream and the lane. */
  readonly #lines = new Map<string, Line>();
  /** By key of the needs; nothing empty. */
  readonly #classes = new Map<string, Class>();

  all(): Iterable<Stream> {
    return this.#streams.values();
  }

  /** Copies that stay as they are, for whoever walks over them while others come and go: each as it is when it is asked for. */
  *copies(): Generator<Stream, void> {
    for (const stream of this.#streams.values()) {
      yield { ...stream, lines: stream.lines.map((line) => ({ ...line, jobs: line.jobs.slice() })) };
    }
  }

  lines(): Line[] {
    return [...this.#lines.values()];
  }

  classes(): string[] {
    return [...this.#classes.keys()];
  }

  linesOf(needsKey: string): Iterable<Line> {
    return this.#classes.get(needsKey)?.lines ?? [];
  }

  waitingOf(needsKey: string): number {
    return this.#classes.get(needsKey)?.waiting ?? 0;
  }

  add(job: PendingJob): void {
    const stream = this.#streamOf(job);
    const line = this.#lineOf(job);
    if (line.jobs.length > 0) take(stream.lines, line, headsInOrder);
    put(line.jobs, job, arrivedBefore);
    put(stream.lines, line, headsInOrder);
    const ofClass = this.#classes.get(job.needsKey) ?? { lines: new Set<Line>(), waiting: 0 };
    ofClass.lines.add(line);
    ofClass.waiting++;
    this.#classes.set(job.needsKey, ofClass);
  }

  remove(job: PendingJob): void {
    const [key, ofLine] = [streamKey(job), lineKey(job)];
    const stream = this.#streams.get(key);
    const line = this.#lines.get(ofLine);
    const ofClass = this.#classes.get(job.needsKey);
    if (!stream || !line || !ofClass) return;
    take(stream.lines, line, headsInOrder);
    take(line.jobs, job, arrivedBefore);
    ofClass.waiting--;
    if (line.jobs.length > 0) {
      put(stream.lines, line, headsInOrder);
      return;
    }
    this.#lines.delete(ofLine);
    ofClass.lines.delete(line);
    if (ofClass.lines.size === 0) this.#classes.delete(job.needsKey);
    if (stream.lines.length === 0) this.#streams.delete(key);
  }

  #streamOf(job: PendingJob): Stream {
    const key = streamKey(job);
    const known = this.#streams.get(key);
    if (known) return known;
    const stream: Stream = { key, tenant: job.tenant, priority: job.priority, lines: [] };
    this.#streams.set(key, stream);
    return stream;
  }

  /** Without jobs when it is new. */
  #lineOf(job: PendingJob): Line {
    const key = lineKey(job);
    const known = this.#lines.get(key);
    if (known) return known;
    const line: Line = { ...laneOf(job), jobs: [] };
    this.#lines.set(key, line);
    return line;
  }
}

/** Names the stream of the job. */
export function streamKey({ tenant, priority }: Pick<PendingJob, 'tenant' | 'priority'>): string {
  return `${priority}\n${tenant}`;
}

function lineKey(job: PendingJob): string {
  return `${streamKey(job)}\n${laneNameOf(job)}`;
}

function headsInOrder(a: Line, b: Line): number {
  return arrivedBefore(a.jobs[0] as PendingJob, b.jobs[0] as PendingJob);
}

type Order<T> = (a: T, b: T) => number;

function put<T>(sorted: T[], item: T, order: Order<T>): void {
  sorted.splice(position(sorted, item, order), 0, item);
}

function take<T>(sorted: T[], item: T, order: Order<T>): void {
  const at = position(sorted, item, order);
  if (sorted[at] === item) sorted.splice(at, 1);
}

/** Where the item stands, or would stand. The end is tried first, as most jobs arrive there. */
function position<T>(sorted: readonly T[], item: T, order: Order<T>): number {
  const last = sorted.at(-1);
  if (last !== undefined && order(last, item) < 0) return sorted.length;
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (order(sorted[middle] as T, item) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
