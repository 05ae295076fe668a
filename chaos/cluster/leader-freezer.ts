/** Stops the time of the leader until another one leads and acts; then the old one goes on where it was, in mid-sentence. */

import { leaderOf, untilAdopted, untilTermAfter } from './leaders.ts';
import { prompted } from './prompts.ts';
import type { Disturbance, Scene } from './under-load.ts';

export interface FreezeSize {
  readonly rounds: number;
  /** How long the successor acts before the old leader wakes, at most. */
  readonly longestActMs: number;
  readonly longestPauseMs: number;
}

export interface Freeze {
  /** Name of the program that slept. */
  readonly who: string;
  readonly term: number;
  /** When the next term began, by the database. */
  readonly endedAt: number;
  readonly wokenAt: number;
  /** Attempts that were open when it fell asleep. */
  readonly open: number;
  /** Prompts that instances were posted by its successor before it woke. */
  readonly acted: number;
}

/** It stands by again within that time, or the round goes on without waiting for it. */
const STAND_DOWN_MS = 1500;

export class LeaderFreezer implements Disturbance {
  readonly freezes: Freeze[] = [];
  readonly #size: FreezeSize;

  constructor(size: FreezeSize) {
    this.#size = size;
  }

  progress(): number {
    return (this.freezes.length + 1) / (this.#size.rounds + 1);
  }

  async run(scene: Scene): Promise<void> {
    const { rounds, longestPauseMs } = this.#size;
    while (this.freezes.length < rounds) {
      await scene.pause(scene.random() * longestPauseMs);
      this.freezes.push(await this.#freeze(scene));
      const { who, open, acted } = this.freezes.at(-1) ?? {};
      scene.say(`${this.freezes.length}: ${who} slept with ${open} open, its successor posted ${acted}`);
      await scene.pause(STAND_DOWN_MS);
    }
  }

  async #freeze({ cluster, pause, random }: Scene): Promise<Freeze> {
    const { program, term } = await leaderOf(cluster);
    program.signal('SIGSTOP');
    try {
      const open = (await cluster.rows.open()).filter((row) => row.term <= term);
      const { at: endedAt } = await untilTermAfter(cluster, term);
      await untilAdopted(cluster, open);
      await pause(random() * this.#size.longestActMs);
      const wokenAt = Date.now();
      const acted = prompted(cluster).filter(({ at }) => at >= endedAt && at < wokenAt).length;
      return { who: program.name, term, endedAt, wokenAt, open: open.length, acted };
    } finally {
      program.signal('SIGCONT');
    }
  }
}
