/**
 * When waiting jobs start and when all is done, roughly as the planner will have it: jobs are taken in order, and each goes
 * where it is done first, with loading where its models are not in memory. Asked job by job, so that whoever asks may pause;
 * each costs a few heap steps, however many instances there are. Pure.
 */
import type { Needs } from '../../domain/capabilities.ts';
import type { LimitsOf } from '../../domain/tenant-limits.ts';
import { Heap } from '../../lib/heap.ts';
import { type Candidate, isAble, takesPart } from '../planning/candidate.ts';
import type { Estimates, Work } from '../planning/estimates.ts';
import { RunningCap } from './running-cap.ts';

/** A run that holds a place of its tenant and of the fleet. */
export interface RunningNow {
  readonly tenant: string;
  /** Epoch ms; null while nothing is known. */
  readonly endsAt: number | null;
}

export interface ForecastState {
  readonly candidates: readonly Candidate[];
  readonly needs: ReadonlyMap<string, Needs>;
  readonly estimates: Estimates;
  /** What a job takes of which nothing is known, in ms; null where that is so of all. */
  readonly usualMs: number | null;
  readonly limitsOf: LimitsOf;
  readonly running: readonly RunningNow[];
  readonly maxConcurrentJobs: number | null;
  /** Epoch ms. */
  readonly now: number;
}

/** ComfyUI works on one prompt after the other, so an instance is one worker however many places it has. */
interface Worker {
  readonly id: string;
  /** Epoch ms; infinite where nothing is known. */
  freeAt: number;
  /** Models in memory before it takes a job that loads others. */
  loaded: readonly string[];
  /** Sets of models in memory, by key, used last first. */
  warm: string[];
  holds: number;
  readonly group: Group;
}

/** A worker as it was when it was put into a heap; it counts only while that is still so. */
interface Entry {
  readonly worker: Worker;
  readonly freeAt: number;
}

/** Workers that can run the same. */
interface Group {
  readonly example: Candidate;
  readonly free: Heap<Entry>;
}

interface Class extends Work {
  readonly models: string;
  readonly groups: ReadonlySet<Group>;
  /** Workers that have its models in memory. */
  readonly warm: Heap<Entry>;
  readonly runMs: number;
  readonly loadMs: number;
  /** By worker, as they are asked for. */
  readonly times: Map<Worker, number>;
}

interface Choice {
  readonly worker: Worker;
  readonly start: number;
  readonly end: number;
}

const anyOne = (): boolean => true;
const sooner = (a: Entry, b: Entry): boolean => a.freeAt < b.freeAt;
const NEEDS_NOTHING: Needs = { nodeTypes: [], models: [] };

export class Forecast {
  readonly #state: ForecastState;
  readonly #groups: Group[];
  readonly #workers: Worker[];
  readonly #classes = new Map<string, Class>();
  /** The same by what was asked for: lanes come again and again. */
  readonly #known = new Map<Work, Class>();
  readonly #modelKeys = new Map<string, Heap<Entry>>();
  readonly #fleetCap: RunningCap;
  readonly #tenantCaps = new Map<string, RunningCap>();
  #doneAt: number;

  constructor(state: ForecastState) {
    const { now, candidates, running, maxConcurrentJobs } = state;
    this.#state = state;
    this.#doneAt = now;
    this.#fleetCap = new RunningCap(maxConcurrentJobs);
    const groups = new Map<Candidate['inventory'], Group>();
    this.#workers = candidates.filter(takesPart).map((candidate) => {
      const group = groups.get(candidate.inventory) ?? { example: candidate, free: new Heap<Entry>(sooner) };
      groups.set(candidate.inventory, group);
      return this.#workerOf(candidate, group);
    });
    this.#groups = [...groups.values()];
    for (const worker of this.#workers) worker.group.free.push({ worker, freeAt: worker.freeAt });
    for (const { tenant, endsAt } of running) {
      const end = this.#orUsual(endsAt);
      this.#fleetCap.add(end);
      this.#capOf(tenant).add(end);
      this.#doneAt = Math.max(this.#doneAt, end);
    }
  }

  /** When the next job in order starts, epoch ms; null while nothing is known, or as long as no instance can run it. */
  place(work: Work & { readonly tenant: string }): number | null {
    const kind = this.#classOf(work);
    const cap = this.#capOf(work.tenant);
    const earliest = Math.max(this.#state.now, cap.earliest, this.#fleetCap.earliest);
    const choice = this.#choose(kind, earliest);
    if (!choice) return null;
    this.#take(kind, choice);
    cap.add(choice.end);
    this.#fleetCap.add(choice.end);
    this.#doneAt = Math.max(this.#doneAt, choice.end);
    return Number.isFinite(choice.start) ? choice.start : null;
  }

  /** No instance that takes part can run it. */
  isStranded(work: Work): boolean {
    return this.#classOf(work).groups.size === 0;
  }

  /** When all that was placed has run, epoch ms; null while nothing is known. */
  get doneAt(): number | null {
    return Number.isFinite(this.#doneAt) ? this.#doneAt : null;
  }

  /** Where it can be soonest, unless it is done sooner where its models are; a place that is free now is not left empty. */
  #choose(kind: Class, earliest: number): Choice | null {
    const soonest = this.#soonest(kind);
    if (!soonest) return null;
    const at = this.#choice(kind, soonest, earliest);
    const warm = first(
      kind.warm,
      (worker) => worker.warm.includes(kind.models) && kind.groups.has(worker.group),
    );
    if (!warm || warm.worker === soonest) return at;
    const there = this.#choice(kind, warm.worker, earliest);
    if (at.start <= earliest && there.start > earliest) return at;
    return there.end <= at.end ? there : at;
  }

  #soonest(kind: Class): Worker | null {
    let soonest: Entry | undefined;
    for (const group of kind.groups) {
      const entry = first(group.free, anyOne);
      if (entry && !(soonest && soonest.freeAt <= entry.freeAt)) soonest = entry;
    }
    return soonest?.worker ?? null;
  }

  #choice(kind: Class, worker: Worker, earliest: number): Choice {
    const start = Math.max(worker.freeAt, earliest);
    const load = kind.models === '' || worker.warm.includes(kind.models) ? 0 : kind.loadMs;
    return { worker, start, end: start + this.#runMs(kind, worker) + load };
  }

  #runMs(kind: Class, worker: Worker): number {
    const known = kind.times.get(worker);
    if (known !== undefined) return known;
    const ms = this.#state.estimates.runMs(kind, worker.id) ?? kind.runMs;
    kind.times.set(worker, ms);
    return ms;
  }

  #take(kind: Class, { worker, end }: Choice): void {
    worker.freeAt = end;
    if (kind.models !== '') {
      if (!worker.warm.includes(kind.models)) worker.loaded = [];
      worker.warm = [kind.models, ...worker.warm.filter((key) => key !== kind.models)].slice(0, worker.holds);
    }
    const entry = { worker, freeAt: end };
    worker.group.free.push(entry);
    for (const key of worker.warm) this.#modelKeys.get(key)?.push(entry);
  }

  #capOf(tenant: string): RunningCap {
    const known = this.#tenantCaps.get(tenant);
    if (known) return known;
    const cap = new RunningCap(this.#state.limitsOf(tenant).maxRunning);
    this.#tenantCaps.set(tenant, cap);
    return cap;
  }

  #classOf(work: Work): Class {
    const known = this.#known.get(work);
    if (known) return known;
    const name = `${work.workflow}\n${work.needsKey}`;
    const kind = this.#classes.get(name) ?? this.#newClass(work);
    this.#classes.set(name, kind);
    this.#known.set(work, kind);
    return kind;
  }

  #newClass({ workflow, needsKey }: Work): Class {
    const { needs: all, estimates } = this.#state;
    const needs = all.get(needsKey) ?? NEEDS_NOTHING;
    const models = needs.models.join('\n');
    const work = { workflow, needsKey };
    return {
      ...work,
      models,
      groups: new Set(this.#groups.filter(({ example }) => isAble(example, needs))),
      warm: this.#warmHeap(needs.models, models),
      runMs: estimates.runMs(work) ?? this.#state.usualMs ?? Number.POSITIVE_INFINITY,
      loadMs: estimates.loadMs(work) ?? 0,
      times: new Map(),
    };
  }

  #warmHeap(models: readonly string[], key: string): Heap<Entry> {
    const known = this.#modelKeys.get(key);
    if (known) return known;
    const heap = new Heap<Entry>(sooner);
    this.#modelKeys.set(key, heap);
    if (models.length === 0) return heap;
    for (const worker of this.#workers) {
      if (!models.every((model) => worker.loaded.includes(model))) continue;
      worker.warm.push(key);
      worker.holds = Math.max(worker.holds, worker.warm.length);
      heap.push({ worker, freeAt: worker.freeAt });
    }
    return heap;
  }

  #workerOf({ id, endsAt, loadedModels: loaded }: Candidate, group: Group): Worker {
    const { now } = this.#state;
    const freeAt = endsAt.reduce<number>((last, at) => Math.max(last, this.#orUsual(at)), now);
    return { id, freeAt, loaded, warm: [], holds: 1, group };
  }

  /** When a run ends. */
  #orUsual(endsAt: number | null): number {
    const { now, usualMs } = this.#state;
    return endsAt ?? now + (usualMs ?? Number.POSITIVE_INFINITY);
  }
}

/** The first that is as it was when it was put in. */
function first(heap: Heap<Entry>, counts: (worker: Worker) => boolean): Entry | undefined {
  for (;;) {
    const entry = heap.first();
    if (!entry || (entry.worker.freeAt === entry.freeAt && counts(entry.worker))) return entry;
    heap.removeFirst();
  }
}
