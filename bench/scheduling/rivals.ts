/** The policies that are compared, each with the settings that are tried; the best one is shown. */
import { centralFifo, TAKERS } from './policies/central-fifo.ts';
import { modelPressure, type PressureSetting, SWARM_SETTING } from './policies/model-pressure.ts';
import { leastLoaded, MEASURES, randomChoices, roundRobin } from './policies/push.ts';
import type { Policy } from './world.ts';

export interface Setting {
  readonly label: string;
  make(): Policy;
}

export interface Rival {
  readonly name: string;
  readonly settings: readonly Setting[];
}

export const RIVALS: readonly Rival[] = [
  { name: 'round robin push', settings: [{ label: '', make: roundRobin }] },
  {
    name: 'least loaded push',
    settings: MEASURES.map((measure) => ({ label: `by ${measure}`, make: () => leastLoaded(measure) })),
  },
  {
    name: 'two random choices push',
    settings: MEASURES.map((measure) => ({ label: `by ${measure}`, make: () => randomChoices(measure, 2) })),
  },
  {
    name: 'central FIFO',
    settings: TAKERS.map((taker) => ({ label: `${taker} instance`, make: () => centralFifo(taker) })),
  },
  { name: 'model pressure, as SwarmUI', settings: [{ label: '', make: () => modelPressure(SWARM_SETTING) }] },
  { name: 'model pressure, swept', settings: pressureSettings() },
];

function pressureSettings(): Setting[] {
  const weights = [
    { label: 'requests', perRequest: 10, perSecond: 0 },
    { label: '100:1', perRequest: 100, perSecond: 1 },
    { label: '10:1', perRequest: 10, perSecond: 1 },
    { label: 'age', perRequest: 0, perSecond: 1 },
  ];
  const ways: readonly Partial<PressureSetting>[] = [
    { drains: false },
    { drains: true, victim: 'used longest ago', advantage: 0 },
    { drains: true, victim: 'least wanted', advantage: 1 },
    { drains: true, victim: 'least wanted', advantage: 3 },
  ];
  return [0, 1].flatMap((overQueue) =>
    [1500, 15_000].flatMap((patienceMs) =>
      ways.flatMap((way) =>
        weights.map(({ label, ...weight }) => {
          const setting = { ...SWARM_SETTING, ...way, ...weight, overQueue, patienceMs };
          return { label: labelOf(setting, label), make: () => modelPressure(setting) };
        }),
      ),
    ),
  );
}

function labelOf(
  { overQueue, patienceMs, drains, victim, advantage }: PressureSetting,
  weight: string,
): string {
  const way = drains ? `drains the ${victim}${advantage ? ` x${advantage}` : ''}` : 'idle only';
  return `${way}, over-queue ${overQueue}, ${patienceMs / 1000} s, ${weight}`;
}
