/** What a gateway asks of its database and of its storage each second, from looks into its process and from its rows. */
import type { Look } from '../gateway-probe.ts';

/** Epoch ms. */
export interface Phase {
  readonly from: number;
  readonly to: number;
}

/** Something that only grows, as it was seen at some moments. */
export interface Reading {
  readonly at: number;
  readonly total: number;
}

export interface Rates {
  /** Each second, over the whole phase. */
  readonly mean: number;
  /** The same in its busiest window. */
  readonly peak: number;
}

/** Shorter ones are at the mercy of the machine's other work. */
export const WINDOW_MS = 5000;

export function ratesIn(readings: readonly Reading[], phase: Phase): Rates {
  const inside = readings.filter(({ at }) => at >= phase.from && at <= phase.to);
  const perSecond = (from: Reading, to: Reading): number =>
    ((to.total - from.total) / (to.at - from.at)) * 1000;
  const [first, last] = [inside[0], inside.at(-1)];
  if (!first || !last || first === last) return { mean: 0, peak: 0 };
  const mean = perSecond(first, last);
  const windows = inside.flatMap((start, index) => {
    const end = inside.slice(index).find(({ at }) => at >= start.at + WINDOW_MS);
    return end ? [perSecond(start, end)] : [];
  });
  return { mean, peak: Math.max(mean, ...windows) };
}

export function statementsOf(looks: readonly Look[]): Reading[] {
  return looks.flatMap(({ at, counts }) => (counts ? [{ at, total: counts.statements }] : []));
}

export function rowsOf(looks: readonly Look[]): Reading[] {
  return looks.flatMap(({ at, counts }) => (counts ? [{ at, total: counts.rows }] : []));
}

/** One reading each second, from amounts that came at their moments. */
export function sumsOf(
  amounts: readonly { readonly at: number; readonly amount: number }[],
  phase: Phase,
): Reading[] {
  const sorted = [...amounts].sort((a, b) => a.at - b.at);
  const readings: Reading[] = [];
  let total = 0;
  let next = 0;
  for (let at = phase.from; at <= phase.to; at += 1000) {
    for (; (sorted[next]?.at ?? Number.POSITIVE_INFINITY) <= at; next++) total += sorted[next]?.amount ?? 0;
    readings.push({ at, total });
  }
  return readings;
}

export type DialKind = 'socketDials' | 'dials';

/** Connections that it began to this port in the phase. */
export function dialsIn(looks: readonly Look[], kind: DialKind, port: string, phase: Phase): number {
  const seen = looks
    .filter(({ at }) => at >= phase.from && at <= phase.to)
    .map(({ counts }) => counts?.[kind][port] ?? 0);
  return Math.max(0, ...seen) - Math.min(...seen, Number.POSITIVE_INFINITY);
}
