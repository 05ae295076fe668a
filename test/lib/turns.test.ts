import { describe, expect, it } from 'vitest';
import { Turns } from '../../src/lib/turns.ts';

const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('turns', () => {
  it('let few go on at once', async () => {
    const turns = new Turns(3);
    const went: number[] = [];
    for (const n of [1, 2, 3]) void turns.next().then(() => went.push(n));
    await Promise.resolve();
    expect(went).toEqual([1, 2, 3]);
  });

  it('let many go on a few at a time, in their order, and leave room for others in between', async () => {
    const turns = new Turns(2);
    const went: number[] = [];
    for (const n of [1, 2, 3, 4, 5]) void turns.next().then(() => went.push(n));
    const counts: number[] = [];
    while (went.length < 5) {
      await turnOfTheLoop();
      counts.push(went.length);
    }
    expect(went).toEqual([1, 2, 3, 4, 5]);
    expect(counts.every((count, index) => count - (counts[index - 1] ?? 0) <= 4)).toBe(true);
    expect(counts.length).toBeGreaterThan(1);
  });

  it('hold nobody up once the crowd is gone', async () => {
    const turns = new Turns(1);
    await Promise.all([turns.next(), turns.next(), turns.next()]);
    await turnOfTheLoop();
    let went = false;
    void turns.next().then(() => {
      went = true;
    });
    await Promise.resolve();
    expect(went).toBe(true);
  });
});
