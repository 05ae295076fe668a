/**
 * How the fleet did in a time, and how it is now. Each figure is read when somebody first asks for it, and once: a client
 * that asks for two of them costs two reads, and a thousand clients who share the figures cost as much as one.
 */
import { type Cell, EMPTY_CELL } from '../domain/metric-cell.ts';
import { ALL_TIME } from '../domain/metric-measure.ts';
import type { Viewer } from '../domain/viewer.ts';
import type { Gate } from '../lib/gate.ts';
import { once } from '../lib/once.ts';
import { failedJobs } from '../store/failed-jobs.ts';
import { instanceNames } from '../store/instance-names.ts';
import { listInstances } from '../store/instances.ts';
import { queueCounts } from '../store/jobs.ts';
import { readFailures } from '../store/metric-failures.ts';
import { persistedAt } from '../store/metric-progress.ts';
import type { Db } from '../store/open.ts';
import { readPoints } from '../store/rollup-points.ts';
import { readUtilization } from './busy.ts';
import { errorFigures } from './error-figures.ts';
import { NO_OUTCOMES, type Outcomes, outcomesBy, outcomesOf } from './outcomes.ts';
import { coverage, readWindow, type TimeRange, type WindowQuery } from './window.ts';

/** What jobs of one instance, or of one workflow, came to. */
export interface PartFigures {
  /** Id of the instance, or name of the workflow. */
  readonly key: string;
  readonly name: string;
  readonly outcomes: Outcomes;
}

export interface FiguresSource {
  readonly db: Db;
  /** Lets a few reads at a time through to the store. */
  readonly gate?: Gate | undefined;
}

type Part = 'instance' | 'workflow';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** The finest buckets: what these add at its ends does not make a time longer. */
const FINE_MS = 10_000;

export class FleetFigures {
  /** `now`: when they were asked for. */
  readonly range: TimeRange;
  readonly #source: FiguresSource;
  readonly #failures = new Map<string, ReturnType<typeof failedJobs>>();

  constructor(source: FiguresSource, range: TimeRange) {
    this.#source = source;
    this.range = range;
  }

  readonly persistedAt = once(() => this.#read(persistedAt));
  readonly queue = once(() => this.#read(queueCounts));
  /** Those of the fleet, without the removed ones. */
  readonly instances = once(() => this.#read(listInstances));
  /** Id to name, of removed ones too. */
  readonly #names = once(() => this.#read(instanceNames));
  /** Of all time. */
  readonly outcomesEver = once(async () => {
    const pieces = [{ width: ALL_TIME, from: 0, to: 1 }];
    const query = { measure: 'ended', cut: 'fleet', pieces, pointMs: null, by: ['status'] } as const;
    return outcomesOf(await this.#read((db) => readPoints(db, query)));
  });
  readonly outcomes = once(async () => outcomesOf(await this.#window({ measure: 'ended', by: ['status'] })));
  readonly queueTime = once(async () => {
    const cells = await this.#window({ measure: 'queue_time', by: [], bins: true });
    return cells[0]?.cell ?? EMPTY_CELL;
  });
  readonly runTime = once(async () => {
    const cells = await this.#window({ measure: 'run_time', by: [], bins: true, where: COMPLETED });
    return cells[0]?.cell ?? EMPTY_CELL;
  });
  readonly #runTimesBy = {
    instance: once(() => this.#runTimes('instance')),
    workflow: once(() => this.#runTimes('workflow')),
  };
  readonly #outcomesBy = {
    instance: once(() => this.#outcomes('instance')),
    workflow: once(() => this.#outcomes('workflow')),
  };
  readonly #utilization = once(() => this.#read((db) => readUtilization(db, this.range)));

  /** Each instance of the fleet, and those that are gone of which the time knows something, by name. */
  readonly byInstance = once(async (): Promise<PartFigures[]> => {
    const [live, names, outcomes, busy] = await Promise.all([
      this.instances(),
      this.#names(),
      this.#outcomesBy.instance(),
      this.#utilization(),
    ]);
    const ids = new Set([...live.map(({ id }) => id), ...outcomes.keys(), ...busy.keys()]);
    ids.delete(''); // of jobs that no instance had
    return partsOf(ids, outcomes, (id) => names.get(id) ?? id);
  });

  /** Each workflow of which jobs ended, by name. */
  readonly byWorkflow = once(async (): Promise<PartFigures[]> => {
    const outcomes = await this.#outcomesBy.workflow();
    return partsOf(outcomes.keys(), outcomes, (name) => name);
  });

  readonly errors = once(async () => {
    const by = ['code', 'instance', 'workflow'] as const;
    const [{ completed, failed: failures }, names, failed, newest] = await Promise.all([
      this.outcomes(),
      this.#names(),
      this.#window({ measure: 'ended', by, where: { status: ['FAILED'] } }),
      // the first bucket may begin a day before the time does
      this.#read((db) => readFailures(db, this.range.from - DAY_MS)),
    ]);
    const nameOf = (id: string): string => names.get(id) ?? id;
    return errorFigures({ failed, newest, nameOf, ended: completed + failures, to: this.range.to });
  });

  /** Jobs that ended COMPLETED or FAILED, in an hour of the time as far as it has passed. */
  async jobsPerHour(): Promise<number> {
    const { completed, failed } = await this.outcomes();
    const passed = passedOf(this.range);
    return passed === 0 ? 0 : ((completed + failed) * HOUR_MS) / passed;
  }

  /** Of the jobs that completed, by the key of a part. */
  async runTimeOf(part: Part, key: string): Promise<Cell> {
    return (await this.#runTimesBy[part]()).get(key) ?? EMPTY_CELL;
  }

  /** Share of the time in which the instance ran something, 0 to 1. */
  async utilizationOf(instanceId: string): Promise<number> {
    return (await this.#utilization()).get(instanceId) ?? 0;
  }

  /** Jobs that failed in the time, newest first; `first` at most. */
  failures(viewer: Viewer, first: number): ReturnType<typeof failedJobs> {
    const key = JSON.stringify([viewer, first]);
    const known = this.#failures.get(key);
    if (known) return known;
    const { from, to } = this.range;
    const jobs = this.#read((db) => failedJobs(db, viewer, { from, to, limit: first }));
    this.#failures.set(key, jobs);
    return jobs;
  }

  async #outcomes(part: Part): Promise<Map<string, Outcomes>> {
    return outcomesBy(await this.#window({ measure: 'ended', by: [part, 'status'] }), part);
  }

  async #runTimes(part: Part): Promise<Map<string, Cell>> {
    const points = await this.#window({ measure: 'run_time', by: [part], bins: true, where: COMPLETED });
    return new Map(points.map(({ key, cell }) => [key[part] ?? '', cell]));
  }

  #window(query: WindowQuery): ReturnType<typeof readWindow> {
    return this.#read((db) => readWindow(db, this.range, query));
  }

  #read<T>(read: (db: Db) => Promise<T>): Promise<T> {
    const { db, gate } = this.#source;
    return gate ? gate.run(() => read(db)) : read(db);
  }
}

/** How much of the time has passed and is kept, in ms; where its ends lie within wide buckets, with the whole of these. */
function passedOf(range: TimeRange): number {
  const pieces = coverage(range);
  const [first, last] = [pieces[0], pieces.at(-1)];
  if (!first || !last) return 0;
  const [begin, end] = [Math.max(range.from, first.from), Math.min(range.to, range.now)];
  const covered = Math.min(last.to, range.now);
  return (covered - end < FINE_MS ? end : covered) - (begin - first.from < FINE_MS ? begin : first.from);
}

const COMPLETED = { status: ['COMPLETED'] } as const;

function partsOf(
  keys: Iterable<string>,
  outcomes: ReadonlyMap<string, Outcomes>,
  nameOf: (key: string) => string,
): PartFigures[] {
  const parts = [...keys].map((key) => ({
    ...{ key, name: nameOf(key) },
    outcomes: outcomes.get(key) ?? NO_OUTCOMES,
  }));
  return parts.sort((a, b) => compare(a.name, b.name) || compare(a.key, b.key));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
