import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/lib/json.ts';

describe('canonicalJson', () => {
  it('is the same text for the same value, and never for two values', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const same = JSON.parse(canonicalJson(a as never));
        expect(canonicalJson(same)).toBe(canonicalJson(a as never));
        expect(same).toEqual(JSON.parse(JSON.stringify(a)));
        const shuffled = Object.fromEntries(Object.entries({ a, b }).reverse());
        expect(canonicalJson(shuffled as never)).toBe(canonicalJson({ a, b } as never));
      }),
    );
  });

  it('is the same text for equal values, whatever the order of keys at any depth', () => {
    const one = canonicalJson({ b: [{ y: 1, x: null }], a: 'é' });
    expect(one).toBe('{"a":"é","b":[{"x":null,"y":1}]}');
    expect(canonicalJson({ a: 'é', b: [{ x: null, y: 1 }] })).toBe(one);
  });

  it('differs for lists in another order and for values of another type', () => {
    expect(canonicalJson([1, 2])).not.toBe(canonicalJson([2, 1]));
    expect(canonicalJson('1')).not.toBe(canonicalJson(1));
  });

  it('keeps a key that has a meaning in JavaScript', () => {
    expect(canonicalJson(JSON.parse('{"__proto__":1,"a":2}'))).toBe('{"__proto__":1,"a":2}');
  });
});
