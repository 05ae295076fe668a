/** Buses over Redis for tests: a fleet of its own for each test, its log at hand, and wires that lose what they carry. */
import { randomUUID } from 'node:crypto';
import type { EventBus } from '../../src/events/bus.ts';
import { RedisBus } from '../../src/events/redis-bus.ts';
import { RedisWire } from '../../src/events/redis-wire.ts';
import type { Wire } from '../../src/events/wire.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { createLogger, type Logger } from '../../src/lib/logger.ts';

export interface FleetOptions {
  readonly url?: string;
  readonly clock?: Clock;
  /** Between the bus and Redis. */
  readonly through?: (wire: Wire) => Wire;
}

/** Buses of one fleet. */
export class Fleet {
  readonly prefix = `test-${randomUUID()}`;
  readonly logs: Record<string, unknown>[] = [];
  readonly #logger: Logger;
  readonly #options: FleetOptions;
  readonly #buses: EventBus[] = [];

  constructor(options: FleetOptions = {}) {
    this.#options = options;
    this.#logger = createLogger('debug', { write: (line) => void this.logs.push(JSON.parse(line)) });
  }

  get channel(): string {
    return `${this.prefix}:events`;
  }

  /** One more, not started. */
  bus(options: FleetOptions = {}): RedisBus {
    const { url = testRedisUrl(), clock = systemClock, through } = { ...this.#options, ...options };
    const redis = new RedisWire({ url, channel: this.channel, clock, random: Math.random });
    const wire = through ? through(redis) : redis;
    const parts = { wire, clock, prefix: this.prefix, logger: this.#logger, ids: randomUUID };
    const bus = new RedisBus({ ...parts, random: Math.random });
    this.#buses.push(bus);
    return bus;
  }

  async started(options: FleetOptions = {}): Promise<RedisBus> {
    const bus = this.bus(options);
    await bus.start();
    return bus;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#buses.map((bus) => bus.stop()));
  }
}

/** The same wire, to change a part of it. */
export function forwarding(wire: Wire): Wire {
  return {
    start: (listener) => wire.start(listener),
    stop: () => wire.stop(),
    isOpen: () => wire.isOpen(),
    publish: (text) => wire.publish(text),
    command: (bytes, run) => wire.command(bytes, run),
    replace: () => wire.replace(),
    counts: () => wire.counts(),
  };
}

export function testRedisUrl(): string {
  const url = process.env.REDIS_URL;
  if (!url) throw new Error('REDIS_URL names no Redis for the tests');
  return url;
}
