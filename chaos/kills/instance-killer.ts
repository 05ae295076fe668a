/** Kills instances and starts them again: their memory is gone, their files are there. Some work is always left standing. */
import type { SimulatorProgram } from '../processes.ts';
import type { OpenRow } from '../rows.ts';
import type { Scene } from './round.ts';

export interface InstanceKill {
  readonly at: number;
  readonly instance: string;
  /** Attempts the rows gave it. */
  readonly open: readonly OpenRow[];
}

/** How long one stays away. */
const AWAY_MS = { least: 100, most: 2500 };

export class InstanceKiller {
  readonly kills: InstanceKill[] = [];
  readonly #scene: Scene;
  /** How far the round has come, 0 to 1. */
  readonly #progress: () => number;
  readonly #away = new Map<SimulatorProgram, Promise<void>>();

  constructor(scene: Scene, progress: () => number) {
    this.#scene = scene;
    this.#progress = progress;
  }

  async run(): Promise<void> {
    const { size, random, pause, deadline } = this.#scene;
    while (this.kills.length < size.instanceKills && performance.now() < deadline) {
      while (this.#progress() < this.kills.length / size.instanceKills && performance.now() < deadline) {
        await pause(20);
      }
      await pause(random() * 1000);
      await this.#killOne();
    }
    await Promise.all(this.#away.values());
  }

  async #killOne(): Promise<void> {
    const { instances, random, rows, pause } = this.#scene;
    const there = instances.filter((instance) => !this.#away.has(instance));
    const victim = there[Math.floor(random() * there.length)];
    if (!victim || there.length < 2) return pause(50);
    const at = Date.now();
    await victim.end('SIGKILL');
    const open = rows.open().filter(({ instance_name }) => instance_name === victim.name);
    this.kills.push({ at, instance: victim.name, open });
    this.#away.set(victim, this.#comeBack(victim, AWAY_MS.least + random() * (AWAY_MS.most - AWAY_MS.least)));
  }

  async #comeBack(victim: SimulatorProgram, ms: number): Promise<void> {
    await this.#scene.pause(ms);
    await victim.start();
    this.#away.delete(victim);
  }
}
