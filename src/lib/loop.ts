/**
 * One background duty: runs a step when woken and at the latest every `intervalMs`, never twice at once. A wake
 * during a step makes one more step follow. A throwing step is logged and does not end the loop.
 *
 *   stopped ── start ──▶ waiting ── wake or interval ──▶ stepping ──▶ waiting ... ── stop ──▶ stopped
 */
import type { Clock, Timer } from './clock.ts';
import type { Logger } from './logger.ts';
import type { Service } from './service.ts';

export interface LoopOptions {
  readonly name: string;
  /** Longest pause between two steps; a function is asked anew each time (for jitter). */
  readonly intervalMs: number | (() => number);
  readonly step: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class Loop implements Service {
  readonly #options: LoopOptions;
  #abort: AbortController | undefined;
  #timer: Timer | undefined;
  #stepping: Promise<void> | undefined;
  #again = false;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#abort) return;
    this.#abort = new AbortController();
    this.wake();
  }

  /** Asks for a step soon. Cheap, never throws, and remembered while a step runs. */
  wake(): void {
    if (!this.#abort) return;
    if (this.#stepping) {
      this.#again = true;
      return;
    }
    this.#timer?.cancel();
    this.#stepping = this.#run(this.#abort.signal).finally(() => {
      this.#stepping = undefined;
      this.#rest();
    });
  }

  /** Resolves when no step runs (used by tests and by stop). */
  async settled(): Promise<void> {
    while (this.#stepping) await this.#stepping;
  }

  async stop(): Promise<void> {
    this.#abort?.abort();
    this.#abort = undefined;
    this.#timer?.cancel();
    await this.settled();
  }

  async #run(signal: AbortSignal): Promise<void> {
    do {
      this.#again = false;
      try {
        await this.#options.step(signal);
      } catch (error) {
        if (!signal.aborted)
          this.#options.logger.error({ err: error, loop: this.#options.name }, 'loop step failed');
      }
    } while (this.#again && !signal.aborted);
  }

  #rest(): void {
    if (!this.#abort) return;
    if (this.#again) {
      this.wake();
      return;
    }
    const { intervalMs, clock } = this.#options;
    this.#timer = clock.after(typeof intervalMs === 'function' ? intervalMs() : intervalMs, () =>
      this.wake(),
    );
  }
}
