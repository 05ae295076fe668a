import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseLenientJson } from '../../src/comfyui/lenient-json.ts';
import { recording } from './recordings.ts';

describe('parseLenientJson', () => {
  it('reads the recorded history with NaN and Infinity as null', () => {
    const body = recording('nan_output').http.find(
      (call) => typeof call.response_body === 'string' && call.response_body.includes('NaN'),
    );
    const parsed = parseLenientJson(String(body?.response_body));
    expect(parsed).toMatchObject({ ok: true });
    expect(JSON.stringify(parsed)).toContain('"score":[null,null]');
  });

  it('leaves words inside of strings alone, also behind escaped quotes', () => {
    const text = String.raw`{"a": "NaN \" NaN", "b": -Infinity, "c\\": NaN, "d": "Infinity"}`;
    expect(parseLenientJson(text)).toEqual({
      ok: true,
      value: { a: 'NaN " NaN', b: null, 'c\\': null, d: 'Infinity' },
    });
  });

  it('reads every value that Python would write, with the numbers JSON does not know as null', () => {
    const python = (value: unknown): string => {
      if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
      if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`;
      return JSON.stringify(value);
    };
    const leaf = fc.oneof(fc.double(), fc.string(), fc.constant('NaN'), fc.boolean(), fc.constant(null));
    fc.assert(
      fc.property(fc.array(fc.oneof(leaf, fc.array(leaf))), (value) => {
        expect(parseLenientJson(python(value))).toEqual({
          ok: true,
          value: JSON.parse(JSON.stringify(value)),
        });
      }),
    );
  });

  it('never throws, whatever the text is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^["{}[\]:,NaInfity\\ -]*$/)), (text) => {
        expect(typeof parseLenientJson(text).ok).toBe('boolean');
      }),
    );
  });

  it('refuses what is nested so deeply that writing it again would overflow the stack', () => {
    const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    expect(parseLenientJson(nested(100)).ok).toBe(true);
    expect(parseLenientJson(nested(100_000)).ok).toBe(false);
  });

  it('reads a string of megabytes next to a NaN', () => {
    const long = 'y'.repeat(6_000_000);
    expect(parseLenientJson(`{"text": "${long}", "n": NaN}`)).toEqual({
      ok: true,
      value: { text: long, n: null },
    });
  });
});
