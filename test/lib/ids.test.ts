import { describe, expect, it } from 'vitest';
import { createIds } from '../../src/lib/ids.ts';

describe('createIds', () => {
  it('makes UUIDs that sort in the order they were made, whatever the clock does', () => {
    const times = [1_700_000_000_000, 1_700_000_000_000, 1_600_000_000_000, 1_700_000_000_001];
    let turn = 0;
    const ids = createIds({ now: () => times[Math.min(turn++ >> 12, times.length - 1)] ?? 0 });
    const made = Array.from({ length: 20_000 }, ids);
    expect(new Set(made).size).toBe(made.length);
    expect([...made].sort()).toEqual(made);
    for (const id of made)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});
