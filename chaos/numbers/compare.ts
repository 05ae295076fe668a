/** Each figure beside the truth. */

export interface Comparison {
  readonly what: string;
  readonly truth: number;
  readonly figure: number;
  /** How far they may be apart; 0: they must be equal. */
  readonly allowed: number;
}

/** Rounding of what was added up in another order. */
const FLOAT = 1e-6;

export function isMet({ truth, figure, allowed }: Comparison): boolean {
  return Math.abs(truth - figure) <= allowed + FLOAT * Math.max(1, Math.abs(truth));
}

/** One line of the table. */
export function lineOf(comparison: Comparison): string {
  const { what, truth, figure, allowed } = comparison;
  const number = (value: number): string => String(Math.round(value * 1000) / 1000);
  const bound = allowed === 0 ? 'equal' : `within ${number(allowed)}`;
  return `${isMet(comparison) ? 'met   ' : 'MISSED'} ${what.padEnd(60)} truth ${number(truth).padStart(12)}  figure ${number(figure).padStart(12)}  ${bound}`;
}

/** Of every name that either side knows; what one side does not know it has none of. */
export function compareAll(
  what: string,
  truth: ReadonlyMap<string, number>,
  figures: ReadonlyMap<string, number>,
  allowed: (truth: number, name: string) => number = () => 0,
): Comparison[] {
  return [...new Set([...truth.keys(), ...figures.keys()])].sort().map((name) => {
    const value = truth.get(name) ?? 0;
    return {
      what: name === '' ? what : `${what} ${name}`,
      ...{ truth: value, figure: figures.get(name) ?? 0, allowed: allowed(value, name) },
    };
  });
}

/** The values of each group added up. */
export function sumBy<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  amountOf: (item: T) => number = () => 1,
): Map<string, number> {
  const sums = new Map<string, number>();
  for (const item of items) sums.set(nameOf(item), (sums.get(nameOf(item)) ?? 0) + amountOf(item));
  return sums;
}
