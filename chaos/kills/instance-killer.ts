/** Kills instances and starts them again: their memory is gone, their files are there. Some work is always left standing. */
import { setTimeout as sleep } from 'node:timers/promises';
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
  readonly #away = new Set<Promise<void>>();

  constructor(scene: Scene, progress: () => number) {
    this.#scene = scene;
    this.#progress = progress;
  }

  async run(): Promise<void> {
    const { size, random } = this.#scene;
    while (this.kills.length < size.instanceKills) {
      while (this.#progress() < this.kills.length / size.instanceKills) await sleep(20);
      await sleep(random() * 1000);
      await this.#killOne();
    }
    await Promise.all(this.#away);
  }

  async #killOne(): Promise<void> {
    const { instances, random, rows } = this.#scene;
    const running = instances.filter((instance) => instance.running);
    const victim = running[Math.floor(random() * running.length)];
    if (!victim || running.length < 2) return void (await sleep(50));
    const at = Date.now();
    await victim.end('SIGKILL');
    const open = rows.open().filter(({ instance_name }) => instance_name === victim.name);
    this.kills.push({ at, instance: victim.name, open });
    const away = this.#comeBack(victim, AWAY_MS.least + random() * (AWAY_MS.most - AWAY_MS.least));
    const watched = away.finally(() => this.#away.delete(watched));
    this.#away.add(watched);
  }

  async #comeBack(victim: SimulatorProgram, ms: number): Promise<void> {
    await sleep(ms);
    await victim.start();
  }
}
