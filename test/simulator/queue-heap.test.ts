import fc from 'fast-check';
import { expect, test } from 'vitest';
import { heapify, heapPop, heapPush } from '../../src/simulator/queue-heap.ts';

const less = (a: number, b: number): boolean => a < b;

test('whatever is pushed comes out smallest first', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (numbers) => {
      const heap: number[] = [];
      for (const number of numbers) heapPush(heap, number, less);
      const out = numbers.map(() => heapPop(heap, less));
      expect(out).toEqual([...numbers].sort((a, b) => a - b));
      expect(heapPop(heap, less)).toBeUndefined();
    }),
  );
});

test('heapify makes a heap of anything', () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1 }), (numbers) => {
      const heap = [...numbers];
      heapify(heap, less);
      expect(heapPop(heap, less)).toBe(Math.min(...numbers));
    }),
  );
});

const touchy = (a: number, b: number): boolean => {
  if (a === b) throw new TypeError('no order');
  return a < b;
};

test('a push whose comparison raises has added the item all the same', () => {
  const heap = [5];
  expect(() => heapPush(heap, 5, touchy)).toThrow(TypeError);
  expect(heap).toEqual([5, 5]);
});

test('a pop whose comparison raises loses the item it was about to give', () => {
  const heap = [1, 7, 7, 9];
  expect(() => heapPop(heap, touchy)).toThrow(TypeError);
  expect(heap).not.toContain(1);
  expect(heap).toHaveLength(3);
});
