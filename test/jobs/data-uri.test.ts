import { describe, expect, it } from 'vitest';
import { readDataUri } from '../../src/jobs/data-uri.ts';

describe('readDataUri', () => {
  it('decodes base64, whatever type is claimed', () => {
    for (const type of ['image/png', 'image/jpeg;charset=x', '', 'text/html'])
      expect(readDataUri(`data:${type};base64,aGVsbG8=`, 100)).toEqual({
        ok: true,
        bytes: Buffer.from('hello'),
      });
    expect(readDataUri('DATA:image/png;BASE64,aGVsbG8=', 100)).toMatchObject({ ok: true });
  });

  it.each([
    '',
    'data:',
    'aGVsbG8=',
    'data:image/png,hello',
    'data:image/png;base64,',
    'data:image/png;base64,aGVsbG8',
    'data:image/png;base64,aGVs bG8=',
    'data:image/png;base64,a-_=',
    'data:image/png;base64,====',
    `data:${'x'.repeat(300)};base64,aGVsbG8=`,
  ])('refuses %j', (text) => {
    expect(readDataUri(text, 100)).toEqual({ ok: false, reason: 'malformed' });
  });

  it('refuses what is too large without decoding it', () => {
    expect(readDataUri('data:;base64,aGVsbG8=', 3)).toEqual({ ok: false, reason: 'too-large' });
    expect(readDataUri('data:;base64,aGVs', 3)).toMatchObject({ ok: true });
  });
});
