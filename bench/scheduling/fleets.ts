/** Fleets: how many instances, how fast, and how many models stay in the memory of each. */
import { randomFrom } from '../../chaos/scenario.ts';
import type { Machine } from './world.ts';

/** As in the measurements that the parameters were chosen by: equal ones, and one model each. */
export function equalFleet(size: number, resident = 1): Machine[] {
  return Array.from({ length: size }, (_, n) => ({ id: `g${n}`, speed: 1, resident }));
}

/** Cards of four generations, 1 on average, that keep 1 to 4 models. */
export function mixedFleet(size: number): Machine[] {
  const speeds = [0.5, 0.8, 1.2, 1.5];
  return Array.from({ length: size }, (_, n) => ({
    id: `g${n}`,
    speed: speeds[n % 4] as number,
    resident: 1 + ((n * 7 + Math.floor(n / 4)) % 4),
  }));
}

/** Models that take 5 to 30 s to load. */
export function modelLoads(names: readonly string[], seed: number): Map<string, number> {
  const random = randomFrom(seed);
  return new Map(names.map((name) => [name, Math.round(5000 + 25_000 * random())]));
}

export function modelNames(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `m${n}`);
}

export function speedOf(machines: readonly Machine[]): number {
  return machines.reduce((sum, { speed }) => sum + speed, 0);
}
