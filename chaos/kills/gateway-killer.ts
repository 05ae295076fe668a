/**
 * Kills the gateway and starts it again. About half of the kills come at a random moment; the others wait for a state that
 * is over in milliseconds, drawn beforehand, and strike when the rows show it.
 */
import type { OpenRow } from '../rows.ts';
import type { Scene } from './round.ts';

export const MOMENTS = ['SUBMITTING', 'RUNNING', 'COLLECTING', 'canceled, not yet freed'] as const;
export type Moment = (typeof MOMENTS)[number];

export interface GatewayKill {
  readonly at: number;
  /** What the rows show when it is gone. */
  readonly open: readonly OpenRow[];
  readonly waiting: number;
  /** From the kill, and from the start that came after it, until every open attempt was taken charge of; null when the next
   * kill came before, or there was none. */
  adoptedAfterMs: number | null;
  adoptedAfterStartMs: number | null;
}

const AIMED = 0.5;
const AIM_FOR_MS = 4000;
/** Longest time before it aims, so that not every one is hit as it starts. */
const SETTLE_MS = 1000;

export function momentOf({ state, status }: OpenRow): Moment | null {
  if (status !== 'PROCESSING') return 'canceled, not yet freed';
  return MOMENTS.find((moment) => moment === state) ?? null;
}

export class GatewayKiller {
  readonly kills: GatewayKill[] = [];
  /** It kills no more. */
  done = false;
  readonly #scene: Scene;
  #aimedAt = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  async run(): Promise<void> {
    const { gateway, size, rows, say, deadline } = this.#scene;
    let following: Promise<void> = Promise.resolve();
    while (this.kills.length < size.gatewayKills && performance.now() < deadline) {
      await this.#rightMoment();
      const at = Date.now();
      await gateway.end('SIGKILL');
      const open = rows.open();
      const waiting = rows.unfinished() - open.filter(({ status }) => status === 'PROCESSING').length;
      const kill = { at, open, waiting, adoptedAfterMs: null, adoptedAfterStartMs: null };
      this.kills.push(kill);
      await following;
      const startedAt = Date.now();
      gateway.launch();
      following = this.#followAdoption(kill, startedAt);
      await gateway.serving();
      if (this.kills.length % 10 === 0)
        say(`${this.kills.length} of ${size.gatewayKills} kills of the gateway`);
    }
    this.done = true;
    await following;
  }

  /** In turn, so that each is met; which kill is aimed is left to chance. */
  async #rightMoment(): Promise<void> {
    const { random, size, load, rows, pause } = this.#scene;
    if (random() >= AIMED) return pause(random() * size.longestPauseMs);
    const moment = MOMENTS[this.#aimedAt % MOMENTS.length];
    this.#aimedAt += 1;
    await pause(random() * SETTLE_MS);
    const giveUpAt = performance.now() + AIM_FOR_MS;
    let canceling: string | undefined;
    while (performance.now() < giveUpAt) {
      const open = rows.open();
      if (open.some((row) => momentOf(row) === moment)) return;
      const running = open.find((row) => momentOf(row) === 'RUNNING');
      if (moment === 'canceled, not yet freed' && running && canceling !== running.job_id) {
        canceling = running.job_id;
        load.cancelNow(running.job_id);
      }
      await pause(1);
    }
  }

  /** A leader writes its own term on what it takes over. */
  async #followAdoption(kill: GatewayKill, startedAt: number): Promise<void> {
    const { rows, pause } = this.#scene;
    const terms = new Map(kill.open.map(({ id, term }) => [id, term]));
    const kills = this.kills.length;
    while (terms.size > 0 && this.kills.length === kills && Date.now() - startedAt < 60_000) {
      const open = new Map(rows.open().map((row) => [row.id, row.term]));
      for (const [id, term] of terms) if ((open.get(id) ?? Number.POSITIVE_INFINITY) > term) terms.delete(id);
      if (terms.size > 0) await pause(10);
    }
    if (kill.open.length === 0 || terms.size > 0) return;
    kill.adoptedAfterMs = Date.now() - kill.at;
    kill.adoptedAfterStartMs = Date.now() - startedAt;
  }
}
