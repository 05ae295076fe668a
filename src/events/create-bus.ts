/** Chooses the bus: Redis where processes share one, else this process's own. */
import type { Config } from '../config.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { EventBus } from './bus.ts';
import { MemoryBus } from './memory-bus.ts';
import { RedisBus } from './redis-bus.ts';
import { RedisWire } from './redis-wire.ts';

export type BusConfig = Pick<Config, 'redisUrl' | 'redisPrefix'>;

export interface BusParts {
  readonly clock: Clock;
  readonly ids: () => string;
  readonly logger: Logger;
  readonly random: () => number;
}

export function createBus({ redisUrl: url, redisPrefix: prefix }: BusConfig, parts: BusParts): EventBus {
  if (url === undefined) return new MemoryBus();
  const wire = new RedisWire({ ...parts, url, channel: `${prefix}:events` });
  return new RedisBus({ ...parts, wire, prefix });
}
