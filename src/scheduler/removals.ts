/**
 * Takes an instance out of the fleet that runs: its jobs go back to their places in the queue at no charge and at once,
 * whether it answers or not; then its prompts of ours are stopped, as far as it lets itself be reached.
 */
import type { Fleet } from '../fleet/fleet.ts';
import { isCanary } from '../fleet/ownership.ts';
import type { Visited } from '../fleet/visit.ts';
import { type Clock, pause } from '../lib/clock.ts';
import { claimOpenAttempts } from '../store/attempts.ts';
import { type AdoptParts, adoptThese } from './adopt.ts';
import type { Runs } from './runs/runs.ts';
import { type SweepParts, sweep } from './sweeper.ts';

export interface RemovalParts extends AdoptParts, SweepParts {
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly runs: Runs;
  /** What is remembered of the instance can be forgotten. */
  readonly onLeft: (id: string) => void;
  readonly config: { readonly probeTimeoutMs: number };
}

const STOP_WITHIN_MS = 5000;
/** A POST that was broken off may be queued a moment later. */
const LATE_POST_MS = 1000;

export class Removals {
  readonly #parts: RemovalParts;
  readonly #term: number;

  constructor(parts: RemovalParts, term: number) {
    this.#parts = parts;
    this.#term = term;
  }

  /** It gets no more jobs from this call on. Answers what is left to say: null, or why prompts may still run there. */
  async remove(id: string): Promise<string | null> {
    const { fleet, runs, onLeft } = this.#parts;
    const present = runs.ofInstance(id);
    const mayArrive = present.some((run) => run.posted === 'unanswered');
    for (const run of present) run.leave();
    fleet.remove(id);
    onLeft(id);
    await runs.emptied(id);
    await this.#closeOthers(id);
    return fleet.visit(id, (visited) => this.#stopPrompts(visited, mayArrive));
  }

  /** Attempts that no run stands for: of a takeover, or written when nobody knew any more whether they were. */
  async #closeOthers(id: string): Promise<void> {
    const open = await claimOpenAttempts(this.#parts.db, this.#term);
    const others = open.filter((attempt) => attempt.instanceId === id && !this.#parts.runs.has(attempt.id));
    await adoptThese(this.#parts, this.#term, others);
  }

  async #stopPrompts(visited: Visited, mayArrive: boolean): Promise<string | null> {
    const { clock, config, fleet, signal } = this.#parts;
    const giveUpAt = clock.monotonic() + STOP_WITHIN_MS;
    let patient = mayArrive;
    while (!signal.aborted) {
      const queue = await visited.http.getQueue({ deadlineMs: config.probeTimeoutMs, signal });
      if (!queue.ok) return `its prompts could not be stopped: ${queue.message}`;
      const jobs = [...queue.value.running, ...queue.value.pending].filter(
        (item) => !isCanary(item, fleet.id),
      );
      const found = await sweep(this.#parts, visited, jobs);
      if (found === 0 && !patient) return null;
      if (clock.monotonic() >= giveUpAt) return 'a prompt there does not stop';
      if (found === 0) {
        patient = false;
        await pause(clock, LATE_POST_MS, signal);
      }
    }
    return null;
  }
}
