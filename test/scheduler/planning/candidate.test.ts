import { expect, it } from 'vitest';
import type { Needs } from '../../../src/domain/capabilities.ts';
import { isAble } from '../../../src/scheduler/planning/candidate.ts';
import { candidate } from './candidate.ts';

it('compares an inventory with each class of needs once, however many classes there are', () => {
  let compared = 0;
  const classes = Array.from({ length: 10_000 }, () => ({
    get nodeTypes(): Needs['nodeTypes'] {
      compared++;
      return [];
    },
    models: [],
  }));
  const inventories = [1, 2].map(() => ({ nodeTypes: [], models: [] }));
  const instances = inventories.map((inventory) => candidate({ inventory }));
  for (let round = 0; round < 3; round++) {
    expect(classes.every((needs) => instances.every((instance) => isAble(instance, needs)))).toBe(true);
  }
  expect(compared).toBe(2 * classes.length);
});
