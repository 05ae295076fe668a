/**
 * How much of the fleet may be put aside for what only jobs say of it (softly, see breaker.ts): at most half of the
 * instances that answer, and never the last one that is used. When jobs fail everywhere it is most likely them, a model
 * share or the gateway, and an empty fleet helps nobody. What is gone, or failed its canary, is not counted. Pure.
 */

export interface Standing {
  readonly id: string;
  readonly answering: boolean;
  readonly use: 'used' | 'aside' | 'softly aside';
  /** When that began, monotonic ms. */
  readonly since: number;
}

/**
 * `refused`: as many as may be are put aside already. `alone`: nobody else answers, so it shows nothing of the fleet that
 * this one is not put aside.
 */
export type Ejection = 'granted' | 'refused' | 'alone';

/** Whether the instance, which is used now, may be put aside softly. */
export function ejection(fleet: readonly Standing[], id: string): Ejection {
  const others = fleet.filter((one) => one.answering && one.id !== id);
  if (others.length === 0) return 'alone';
  const isUsed = others.some(({ use }) => use === 'used');
  return isUsed && softlyAside(others).length + 1 <= mostSoft(others.length + 1) ? 'granted' : 'refused';
}

/** Who is used again, although only time was to end it: others have gone meanwhile. Longest aside first. */
export function neededBack(fleet: readonly Standing[]): string[] {
  const answering = fleet.filter((one) => one.answering);
  const soft = softlyAside(answering).sort((a, b) => a.since - b.since);
  const least = answering.some(({ use }) => use === 'used') ? 0 : 1;
  const tooMany = Math.max(least, soft.length - mostSoft(answering.length));
  return soft.slice(0, tooMany).map(({ id }) => id);
}

function softlyAside(fleet: readonly Standing[]): Standing[] {
  return fleet.filter(({ use }) => use === 'softly aside');
}

function mostSoft(answering: number): number {
  return Math.floor(answering / 2);
}
