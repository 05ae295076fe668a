import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  binOf,
  type Cell,
  cellOf,
  compact,
  countUpTo,
  EMPTY_CELL,
  mergeCells,
  quantile,
  upperEdge,
} from '../../src/domain/metric-cell.ts';

const WIDTH = 2 ** (1 / 16);
const durations = fc.oneof(
  fc.integer({ min: 0, max: 10_000_000 }),
  fc.double({ min: 0.001, max: 1e7, noNaN: true }),
);
const merged = (values: readonly number[]): Cell =>
  values.map((value, n) => cellOf(value, n)).reduce((a, b) => mergeCells(a, b), EMPTY_CELL);

describe('a cell', () => {
  it('puts every value into the bin whose edges enclose it', () => {
    fc.assert(
      fc.property(durations, (value) => {
        const bin = binOf(value);
        expect(value).toBeLessThanOrEqual(upperEdge(bin) * (1 + 1e-9));
        if (value > 0) expect(value).toBeGreaterThan(upperEdge(bin - 1) * (1 - 1e-9));
      }),
    );
  });

  it('has every power of two of seconds as an edge, so that counts up to one are exact', () => {
    for (const seconds of [0.125, 0.25, 0.5, 1, 2, 64, 2048]) {
      const ms = seconds * 1000;
      expect(upperEdge(binOf(ms))).toBe(ms);
      expect(binOf(ms * 1.0001)).toBe(binOf(ms) + 1);
    }
    fc.assert(
      fc.property(fc.array(durations), fc.integer({ min: -3, max: 11 }), (values, power) => {
        const edge = 2 ** power * 1000;
        expect(countUpTo(merged(values).bins, edge)).toBe(values.filter((value) => value <= edge).length);
      }),
    );
  });

  it('says quantiles within the width of a bin, whatever was merged in which order', () => {
    const some = fc.array(durations, { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(some, some, fc.constantFrom(0.5, 0.9, 0.95, 0.99, 1), (some, others, q) => {
        const values = [...some, ...others].sort((a, b) => a - b);
        const truth = values[Math.max(1, Math.ceil(q * values.length)) - 1] as number;
        const cell = mergeCells(merged(others), merged(some));
        const said = quantile(cell, q) as number;
        expect(said).toBeLessThanOrEqual(truth * WIDTH * (1 + 1e-9));
        expect(said).toBeGreaterThanOrEqual((truth / WIDTH) * (1 - 1e-9));
        expect(cell).toMatchObject({ count: values.length, min: values[0], max: values.at(-1) });
        expect(compact(compact(cell.bins))).toEqual(compact(cell.bins));
        expect(quantile({ ...cell, bins: compact(cell.bins) }, q)).toBe(said);
      }),
    );
  });

  it('knows no quantile of nothing, and keeps the newest value', () => {
    expect(quantile(EMPTY_CELL, 0.5)).toBeNull();
    expect(mergeCells(cellOf(5, 20), cellOf(7, 10))).toMatchObject({ last: 5, lastAt: 20 });
    expect(mergeCells(EMPTY_CELL, cellOf(7, 10))).toMatchObject({ last: 7, lastAt: 10, min: 7 });
  });
});
