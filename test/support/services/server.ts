/** What Postgres and Redis have in common as servers of a test: they start, end and come back on the same port. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Daemon } from './daemon.ts';

const START_WITHIN_MS = 30_000;

export abstract class Server {
  /** The same over all its lives. */
  abstract readonly url: string;
  readonly #daemon: Daemon;

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const deadline = performance.now() + START_WITHIN_MS;
    await this.#daemon.launch();
    while (!(await this.answers())) {
      if (performance.now() > deadline)
        throw new Error(`it does not serve: ${await this.#daemon.lastWords()}`);
      if (!(await this.#daemon.running())) await this.#again();
      await sleep(20);
    }
  }

  /** Kills it: nothing is said to anybody, nothing written. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** It stays as it is and answers nobody, until resumed. */
  pause(): Promise<void> {
    return this.#daemon.freeze();
  }

  resume(): Promise<void> {
    return this.#daemon.thaw();
  }

  /** Ends it for good, with its data. */
  dispose(): Promise<void> {
    return this.#daemon.dispose();
  }

  /** Whether it answers at this moment. */
  abstract answers(): Promise<boolean>;

  /** Sends the signal and waits until it has ended. */
  protected async end(name: NodeJS.Signals): Promise<void> {
    await this.#daemon.signal(name);
    await this.#daemon.ended();
  }

  /** What a killed one left behind may hold up the next for a moment, as Postgres' last processes do. */
  async #again(): Promise<void> {
    await sleep(100);
    await this.#daemon.launch();
  }
}
