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

/** Of a wider sweep (four times as many, with longer patience and other weights) those that were best somewhere, or within a few percent. */
function pressureSettings(): Setting[] {
  const weights = [
    { weight: 'requests', perRequest: 10, perSecond: 0 },
    { weight: '10:1', perRequest: 10, perSecond: 1 },
    { weight: 'age', perRequest: 0, perSecond: 1 },
  ];
  const idleOnly = [0, 1500].flatMap((patienceMs) =>
    [1, Number.POSITIVE_INFINITY].map((loadsAtOnce) => ({
      way: `idle only, ${loadsAtOnce === 1 ? 'one load' : 'many loads'} at once, ${patienceMs / 1000} s`,
      ...{ drains: false, patienceMs, loadsAtOnce },
    })),
  );
  const draining = [1, 3].map((advantage) => ({
    way: `drains the least wanted x${advantage}`,
    ...{ drains: true, victim: 'least wanted' as const, advantage },
  }));
  return [0, 1].flatMap((overQueue) =>
    [...idleOnly, ...draining].flatMap(({ way, ...traits }) =>
      weights.map(({ weight, ...factors }) => {
        const setting: PressureSetting = { ...SWARM_SETTING, ...traits, ...factors, overQueue };
        return {
          label: `${way}, over-queue ${overQueue}, ${weight}`,
          make: () => modelPressure(setting),
        };
      }),
    ),
  );
}
