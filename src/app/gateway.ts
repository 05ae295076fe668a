/** A gateway of any role as one Service: what starts first stops last. */
import type { Config } from '../config.ts';
import { type Clock, pause } from '../lib/clock.ts';
import { type Service, startAll, stopAll } from '../lib/service.ts';

/** Where the process is reached: all of GraphQL, or health only. */
export interface Door extends Service {
  /** Known once started: http://host:port. */
  readonly url: string;
  /** Says that it is not ready; all is served as before until `stop`. */
  drain(): void;
}

export interface GatewayParts {
  readonly config: Pick<Config, 'shutdownDelayMs'>;
  readonly clock: Clock;
  /** In the order in which they start; the door is one of them. */
  readonly services: readonly Service[];
  readonly door: Door;
  /** From now on no attempt is started here. */
  readonly hold: () => void;
}

/**
 * Stops in this order: it says that it is not ready and begins no more attempts, while everything is still served for the
 * shutdown delay, so that whoever sends requests here has time to notice; then no more is listened for, requests in flight
 * are answered, subscriptions closed; last the scheduler lets go of what runs, for the next start or a standby to adopt.
 */
export class Gateway implements Service {
  readonly #parts: GatewayParts;
  #started = false;
  #stopped: Promise<void> | undefined;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
  }

  /** Where it serves, known once started: http://host:port. */
  get url(): string {
    return this.#parts.door.url;
  }

  async start(): Promise<void> {
    await startAll(this.#parts.services);
    this.#started = true;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const { clock, config, door, hold, services } = this.#parts;
    door.drain();
    hold();
    if (this.#started) await pause(clock, config.shutdownDelayMs);
    await stopAll(services);
  }
}
