import { describe, expect, it } from 'vitest';
import { Publishers } from '../../src/events/publishers.ts';

describe('what is known of publishers', () => {
  it('tells the next message from a hole and from an old one', () => {
    const publishers = new Publishers();
    expect([1, 2, 4, 3, 4, 5].map((n) => publishers.news('a', n, 0))).toEqual([
      'next',
      'next',
      'hole',
      'old',
      'old',
      'next',
    ]);
    expect(publishers.beat('a', 5, 0)).toBe('old');
    expect(publishers.beat('a', 6, 0)).toBe('hole');
    expect(publishers.news('b', 1, 0)).toBe('next');
    expect(publishers.beat('c', 0, 0)).toBe('old');
  });

  it('says once that one fell silent, and again after it was heard in between', () => {
    const publishers = new Publishers();
    publishers.news('a', 1, 0);
    publishers.news('b', 1, 1000);
    expect(publishers.fellSilent(3499)).toBe(false);
    expect(publishers.fellSilent(3500)).toBe(true);
    expect(publishers.fellSilent(3600)).toBe(false);
    expect(publishers.fellSilent(4500)).toBe(true);
    publishers.beat('a', 1, 5000);
    expect(publishers.fellSilent(9000)).toBe(true);
    expect(publishers.fellSilent(9000)).toBe(false);
  });

  it('counts no silence in which nobody could be heard', () => {
    const publishers = new Publishers();
    publishers.news('a', 1, 0);
    publishers.excuse(10_000);
    expect(publishers.fellSilent(13_000)).toBe(false);
    expect(publishers.news('a', 2, 13_000)).toBe('next');
  });

  it('forgets those long silent, those that said bye, and the oldest of too many', () => {
    const publishers = new Publishers();
    publishers.news('a', 1, 0);
    publishers.fellSilent(60_000);
    expect(publishers.size).toBe(0);
    publishers.news('b', 1, 0);
    publishers.forget('b');
    expect(publishers.size).toBe(0);
    for (let n = 0; n < 5000; n++) publishers.news(`invented${n}`, 1, 0);
    expect(publishers.size).toBe(1000);
  });
});
