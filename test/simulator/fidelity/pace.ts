/**
 * Lets time pass for the simulator only while the replay waits for something. Time stands still while the client acts,
 * so that "interrupt after the sixth step" hits the same step on a busy machine as on an idle one.
 */
import sharp from 'sharp';
import type { VirtualClock } from '../../support/virtual-clock.ts';

/** Real milliseconds without any news, and with no timer left to fire, after which a wait is given up. */
const PATIENCE_MS = 1500;
/** Virtual milliseconds one wait may use up. */
const WAIT_LIMIT_MS = 120_000;

export class Pace {
  readonly #clock: VirtualClock;
  #epoch: number;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
    this.#epoch = clock.now();
  }

  /** From now on `reach` counts from this moment. */
  start(): void {
    this.#epoch = this.#clock.now();
  }

  /** Waits until the condition holds, moving time from timer to timer; false when it never came true. */
  async until(condition: () => boolean): Promise<boolean> {
    const limit = this.#clock.now() + WAIT_LIMIT_MS;
    let idleSince = performance.now();
    for (;;) {
      await stillness();
      if (condition()) return true;
      const due = this.#clock.nextDue;
      if (due !== undefined && due <= limit) {
        await this.#clock.advance(Math.max(0, due - this.#clock.now()));
        idleSince = performance.now();
      } else if (performance.now() - idleSince > PATIENCE_MS) {
        return false;
      } else {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  }

  /** Moves time on to `ms` after the start, firing what falls due on the way, one timer at a time. */
  async reach(ms: number): Promise<void> {
    const end = this.#epoch + ms;
    for (;;) {
      await stillness();
      const due = this.#clock.nextDue;
      if (due === undefined || due > end) break;
      await this.#clock.advance(Math.max(0, due - this.#clock.now()));
    }
    await this.#clock.advance(Math.max(0, end - this.#clock.now()));
    await stillness();
  }

  /** Moves time on by `ms` and lets everything that follows from it arrive. */
  async pass(ms: number): Promise<void> {
    await this.reach(this.#clock.now() - this.#epoch + ms);
  }

  /** Waits for a promise; if it does not settle by itself, time moves on for it. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    const started = performance.now();
    while (!settled && performance.now() - started < 50)
      await new Promise((resolve) => setTimeout(resolve, 1));
    if (!settled) await this.until(() => settled);
    return promise;
  }
}

/**
 * Resolves when nothing is under way any more: bytes on a loopback socket arrive within a few turns of the event loop,
 * pictures and files are worked on in threads, and what those set off comes a turn later.
 */
async function stillness(): Promise<void> {
  for (let calm = 0; calm < 2; ) {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, 1));
    calm = isBusy() ? 0 : calm + 1;
  }
}

function isBusy(): boolean {
  const { queue, process: working } = sharp.counters();
  if (queue + working > 0) return true;
  return process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq') || name === 'CloseReq');
}
