/**
 * The bus of a process that shares its store with others, but no wire: it hears nothing of what they do. So every few
 * seconds there is a gap, as on a fleet's channel that is cut off, and reading rows carries subscribers on.
 */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Loop } from '../lib/loop.ts';
import type { OnDropped } from './dropped.ts';
import { MemoryBus } from './memory-bus.ts';

export interface LonelyBusParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly onDropped?: OnDropped | undefined;
}

/** From one gap to the next so long, and up to `SPREAD_MS` more, so that processes do not read all at once. */
const LEAST_MS = 2000;
const SPREAD_MS = 3000;

export class LonelyBus extends MemoryBus {
  readonly #gaps: Loop;

  constructor({ clock, logger, random, onDropped }: LonelyBusParts) {
    super({}, onDropped);
    const intervalMs = (): number => LEAST_MS + random() * SPREAD_MS;
    const step = async (): Promise<void> => this.remind();
    this.#gaps = new Loop({ name: 'gaps', intervalMs, step, clock, logger });
  }

  override async start(): Promise<void> {
    await super.start();
    await this.#gaps.start();
  }

  override async stop(): Promise<void> {
    await this.#gaps.stop();
    await super.stop();
  }
}
