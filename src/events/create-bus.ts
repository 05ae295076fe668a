/** Chooses the bus: Redis where processes share one, else this process's own. */
import type { Config } from '../config.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { EventBus } from './bus.ts';
import { MemoryBus } from './memory-bus.ts';

export type BusConfig = Pick<Config, 'redisUrl' | 'redisPrefix'>;

export interface BusParts {
  readonly clock: Clock;
  readonly ids: () => string;
  readonly logger: Logger;
  readonly random: () => number;
}

export function createBus({ redisUrl }: BusConfig, _parts: BusParts): EventBus {
  if (redisUrl !== undefined) throw new Error('REDIS_URL is not supported yet');
  return new MemoryBus();
}
