/** Kills the leader at random moments, or stops it in order, and starts it again as a standby once another one leads. */
import { leaderOf, untilAdopted, untilTermAfter } from './leaders.ts';
import type { Disturbance, Scene } from './under-load.ts';

export interface KillSize {
  readonly kills: number;
  /** Every so many of them is a stop in order; 0: none. */
  readonly stopEvery: number;
  /** The share of them that waits until something is open; the others come at any moment. */
  readonly aimed: number;
  /** Between the return of the one before and the next. */
  readonly longestPauseMs: number;
  /** No more kills after that. */
  readonly longestMs: number;
}

export interface Takeover {
  readonly how: 'killed' | 'stopped';
  /** From the signal until another term began, by the database. */
  readonly ledAfterMs: number;
  /** From the signal until every open attempt was taken charge of. */
  readonly adoptedAfterMs: number;
  /** Attempts that were open. */
  readonly open: number;
}

const AIM_FOR_MS = 10_000;

export class LeaderKiller implements Disturbance {
  readonly takeovers: Takeover[] = [];
  readonly #size: KillSize;
  readonly #startedAt = performance.now();

  constructor(size: KillSize) {
    this.#size = size;
  }

  progress(): number {
    const { kills, longestMs } = this.#size;
    return Math.max(
      (this.takeovers.length + 1) / (kills + 1),
      (performance.now() - this.#startedAt) / longestMs,
    );
  }

  async run(scene: Scene): Promise<void> {
    const { kills, longestPauseMs } = this.#size;
    while (this.takeovers.length < kills && this.progress() <= 1) {
      await scene.pause(scene.random() * longestPauseMs);
      this.takeovers.push(await this.#strike(scene));
      const { how, adoptedAfterMs, open } = this.takeovers.at(-1) ?? {};
      scene.say(`leader ${how} with ${open} open, adopted after ${adoptedAfterMs} ms`);
    }
  }

  async #strike(scene: Scene): Promise<Takeover> {
    const { cluster, random } = scene;
    const { stopEvery, aimed } = this.#size;
    if (random() < aimed) await this.#untilOpen(scene);
    const { program, term } = await leaderOf(cluster);
    const isStop = stopEvery > 0 && (this.takeovers.length + 1) % stopEvery === 0;
    const at = Date.now();
    if (isStop) program.signal('SIGTERM');
    else await program.end('SIGKILL');
    const open = (await cluster.rows.open()).filter((row) => row.term <= term);
    const begun = await untilTermAfter(cluster, term);
    const adoptedAt = await untilAdopted(cluster, open);
    await program.ended();
    await program.start();
    return {
      how: isStop ? 'stopped' : 'killed',
      ledAfterMs: begun.at - at,
      adoptedAfterMs: adoptedAt - at,
      open: open.length,
    };
  }

  async #untilOpen({ cluster, pause }: Scene): Promise<void> {
    const giveUpAt = performance.now() + AIM_FOR_MS;
    while ((await cluster.rows.open()).length === 0 && performance.now() < giveUpAt) await pause(5);
  }
}
