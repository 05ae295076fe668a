/** Chooses the bus: Redis where processes share one, else this process's own. */
import type { Config } from '../config.ts';
import type { EventBus } from './bus.ts';
import { MemoryBus } from './memory-bus.ts';

export type BusConfig = Pick<Config, 'redisUrl' | 'redisPrefix'>;

export function createBus({ redisUrl }: BusConfig): EventBus {
  if (redisUrl !== undefined) throw new Error('REDIS_URL is not supported yet');
  return new MemoryBus();
}
