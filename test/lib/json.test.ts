import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/lib/json.ts';

describe('canonicalJson', () => {
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
