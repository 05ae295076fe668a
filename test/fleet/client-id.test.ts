import { describe, expect, it } from 'vitest';
import { nextClientId } from '../../src/fleet/client-id.ts';

const BEFORE = { last: 'old', wasUsed: true, inUse: false, suspect: false };
const fresh = (): string => 'new';

describe('the client id of the next connection', () => {
  it('is kept while prompts of it run, so that they are heard', () => {
    expect(nextClientId({ ...BEFORE, inUse: true }, fresh)).toBe('old');
  });

  it('is a new one when nothing runs (F14)', () => {
    expect(nextClientId(BEFORE, fresh)).toBe('new');
  });

  it('is a new one when the server may still hold the old connection, even while prompts run', () => {
    expect(nextClientId({ ...BEFORE, inUse: true, suspect: true }, fresh)).toBe('new');
  });

  it('is kept over dials that came to nothing', () => {
    expect(nextClientId({ ...BEFORE, wasUsed: false }, fresh)).toBe('old');
  });

  it('is made when there is none', () => {
    expect(nextClientId({ ...BEFORE, last: null }, fresh)).toBe('new');
  });
});
