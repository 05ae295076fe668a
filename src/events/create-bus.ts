/** Chooses the bus: Redis where processes share one, else this process's own, which knows whether others share the store. */
import type { Config } from '../config.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { EventBus } from './bus.ts';
import type { OnDropped } from './dropped.ts';
import { LonelyBus } from './lonely-bus.ts';
import { MemoryBus } from './memory-bus.ts';
import { RedisBus } from './redis-bus.ts';
import { RedisWire } from './redis-wire.ts';

export type BusConfig = Pick<Config, 'databaseUrl' | 'redisUrl' | 'redisPrefix'>;

export interface BusParts {
  readonly clock: Clock;
  readonly ids: () => string;
  readonly logger: Logger;
  readonly random: () => number;
  readonly onDropped?: OnDropped | undefined;
}

export function createBus(config: BusConfig, parts: BusParts): EventBus {
  const { databaseUrl, redisUrl: url, redisPrefix: prefix } = config;
  if (url === undefined)
    return databaseUrl === undefined ? new MemoryBus({}, parts.onDropped) : new LonelyBus(parts);
  const wire = new RedisWire({ ...parts, url, channel: `${prefix}:events` });
  return new RedisBus({ ...parts, wire, prefix });
}
