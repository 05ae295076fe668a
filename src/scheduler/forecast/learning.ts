/**
 * What the leader learns from its runs: how long jobs take and what instances have in memory. Nothing is stored for it: a
 * term begins by replaying the newest attempts' rows.
 */
import type { Needs } from '../../domain/capabilities.ts';
import { RecentMap } from '../../lib/recent-map.ts';
import { listInstances } from '../../store/instances.ts';
import { findNeeds } from '../../store/needs.ts';
import type { Db } from '../../store/open.ts';
import { recentRuns } from '../../store/run-times.ts';
import type { Estimates } from '../planning/estimates.ts';
import type { Expectation, Start } from './expectation.ts';
import { RunEstimates } from './run-estimates.ts';
import { WarmModels } from './warm-models.ts';
import { warmthOf } from './warmth.ts';

export interface LearningParts {
  readonly db: Db;
  /** Needs of the classes that wait. */
  readonly needsOf: (needsKey: string) => Needs | undefined;
  /** Told when an instance most likely has other models in memory. */
  readonly onLoaded: (instanceId: string, models: readonly string[]) => void;
}

const REPLAYED = 2000;
const CLASSES = 2000;
/** An instance that was away for less, from one leader to the next, has hardly restarted meanwhile. */
const UNSEEN_MS = 30_000;

export class Learning {
  readonly #parts: LearningParts;
  readonly #times = new RunEstimates();
  readonly #memory = new WarmModels();
  readonly #models = new RecentMap<string, readonly string[]>(CLASSES);
  /** When instances were last seen by an earlier leader, epoch ms, until they are seen by this one. */
  readonly #lastSeen = new Map<string, number>();

  constructor(parts: LearningParts) {
    this.#parts = parts;
  }

  get estimates(): Estimates {
    return this.#times;
  }

  /** What jobs took of late, whichever they were, in ms; null while none ran. */
  get usualMs(): number | null {
    return this.#times.usualMs;
  }

  /** The same list until it changes. */
  loaded(instanceId: string): readonly string[] {
    return this.#memory.loaded(instanceId);
  }

  /** Learns from the newest rows, and what instances have in memory as far as their rows still say so. */
  async recall(): Promise<void> {
    const { db } = this.#parts;
    const runs = await recentRuns(db, REPLAYED);
    await this.know(runs.map((run) => run.needsKey));
    for (const run of runs) this.#observe(this.#expect(run), run.runMs);
    for (const { id, loadedModels, upSince, lastSeenAt } of await listInstances(db)) {
      this.#memory.keepOnly(id, upSince === null ? [] : loadedModels);
      if (lastSeenAt !== null) this.#lastSeen.set(id, lastSeenAt);
    }
  }

  /** Reads what these classes need, as far as that is not known. */
  async know(needsKeys: readonly string[]): Promise<void> {
    const unknown = new Set(needsKeys.filter((key) => this.#modelsOf(key) === undefined));
    for (const [key, needs] of await findNeeds(this.#parts.db, [...unknown])) {
      this.#models.set(key, needs.models);
    }
  }

  begins(start: Start): Expectation {
    const expectation = this.#expect(start);
    this.#tell(start.instanceId);
    return expectation;
  }

  /** It ended before it began: nothing was loaded for it. */
  didNotBegin({ instanceId, models, depth }: Expectation): void {
    if (models) this.#memory.unused(instanceId, models, depth);
    this.#tell(instanceId);
  }

  succeeded(expectation: Expectation, runMs: number): void {
    this.#observe(expectation, runMs);
    this.#tell(expectation.instanceId);
  }

  /** It answers, after it was away or never asked by this process; `now` in epoch ms. */
  cameBack(instanceId: string, now: number): void {
    const lastSeen = this.#lastSeen.get(instanceId);
    this.#lastSeen.delete(instanceId);
    if (lastSeen === undefined || now - lastSeen > UNSEEN_MS) this.#memory.forget(instanceId);
    this.#tell(instanceId);
  }

  /** It was told to free its memory. */
  freed(instanceId: string): void {
    this.#memory.forget(instanceId);
    this.#tell(instanceId);
  }

  /** It left the fleet. */
  left(instanceId: string): void {
    this.#memory.drop(instanceId);
    this.#lastSeen.delete(instanceId);
  }

  #expect(start: Start): Expectation {
    const { workflow, needsKey, instanceId } = start;
    const models = this.#modelsOf(needsKey) ?? null;
    const warmth = models === null || this.#memory.isWarm(instanceId, models) ? 'warm' : 'cold';
    const depth = models === null ? null : this.#memory.depth(instanceId, models);
    if (models) this.#memory.used(instanceId, models);
    const run = this.#times.runMs(start, instanceId);
    const load = warmth === 'warm' ? 0 : (this.#times.loadMs(start, instanceId) ?? 0);
    const runMs = run === null ? null : run + load;
    return { workflow, needsKey, instanceId, models, depth, warmth, runMs };
  }

  #observe(expectation: Expectation, runMs: number): void {
    const { models, depth, instanceId, warmth } = expectation;
    if (models === null) return;
    const seen = warmthOf(expectation, runMs, this.#times);
    const known = models.length === 0 ? 'warm' : this.#memory.knownAt(instanceId, depth);
    this.#memory.learn(instanceId, depth, seen);
    // sorted by their own times, the averages of slow and fast runs would part further and further
    if (seen === null || seen === known) this.#times.observe(expectation, instanceId, runMs, seen ?? warmth);
  }

  #modelsOf(needsKey: string): readonly string[] | undefined {
    const known = this.#models.get(needsKey);
    if (known) return known;
    const needs = this.#parts.needsOf(needsKey);
    if (needs) this.#models.set(needsKey, needs.models);
    return needs?.models;
  }

  #tell(instanceId: string): void {
    this.#parts.onLoaded(instanceId, this.#memory.loaded(instanceId));
  }
}
