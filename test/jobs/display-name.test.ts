import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { displayName } from '../../src/jobs/display-name.ts';

describe('displayName', () => {
  it('keeps a name as the client wrote it', () => {
    for (const name of ['cat.png', 'Größe 2 (копия).webp', '../x', '👩‍🚀.png'])
      expect(displayName(name)).toBe(name);
  });

  it('removes control characters and what turns the text round', () => {
    expect(displayName('a\u0000b\r\nSet-Cookie: x\u007f')).toBe('abSet-Cookie: x');
    expect(displayName('cat\u202egnp.exe')).toBe('catgnp.exe');
  });

  it('is null when nothing is left', () => {
    for (const name of [null, '', '  ', '\u0000']) expect(displayName(name)).toBeNull();
  });

  it('is at most 255 characters of well-formed text without control characters, whatever comes in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 1_000 }), (name) => {
        const shown = displayName(name);
        if (shown === null) return;
        expect([...shown].length).toBeLessThanOrEqual(255);
        expect(shown).not.toMatch(/\p{Cc}|\p{Cs}/u);
      }),
    );
    expect(displayName('😀'.repeat(300))).toBe('😀'.repeat(255));
    expect(displayName('x\ud800y')).toBe('x\ufffdy');
  });
});
