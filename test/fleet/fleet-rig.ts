/** A fleet with everything real below it: simulated instances, an SQLite store, the memory bus. Ends with its test. */
import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { createFleet, type Fleet, type FleetOptions } from '../../src/fleet/fleet.ts';
import type { Source } from '../../src/fleet/panic.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/simulator.ts';
import { openTempStore, type TempStore } from '../support/temp-store.ts';

export async function simulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const one = await startSimulator(options);
  onTestFinished(() => one.stop());
  return one;
}

export async function tempStore(): Promise<TempStore> {
  const temp = await openTempStore();
  onTestFinished(() => temp.close());
  return temp;
}

/** Whose job it was, where that does not matter. */
export const SOURCE: Source = { tenant: 'acme', workflow: 'txt2img', needsKey: 'n' };

export interface FleetDifferences extends Partial<Omit<FleetOptions, 'config'>> {
  readonly bus?: MemoryBus;
  readonly config?: Partial<FleetOptions['config']>;
}

export async function startFleet(
  temp: TempStore,
  urls: readonly string[],
  { bus = new MemoryBus(), config, ...differences }: FleetDifferences = {},
): Promise<Fleet> {
  await bus.start();
  const fleet = createFleet({
    store: temp.store,
    bus,
    clock: systemClock,
    random: Math.random,
    ids: randomUUID,
    logger: createLogger('silent'),
    ...differences,
    config: {
      comfyuiInstances: urls.map((url, index) => ({ url, name: `gpu${index}`, capacity: 1 })),
      probeIntervalMs: 50,
      probeTimeoutMs: 300,
      unhealthyAfterMisses: 3,
      inventoryRefreshMs: 600_000,
      comfyuiWebsocket: true,
      breakerThreshold: 3,
      breakerOpenMs: 30_000,
      canaryTimeoutMs: 1000,
      ...config,
    },
  });
  await fleet.start();
  onTestFinished(() => fleet.stop());
  return fleet;
}

export const healthOf = (fleet: Fleet): string | undefined => fleet.instances()[0]?.instance.health;
