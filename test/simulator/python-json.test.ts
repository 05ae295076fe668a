import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  fromFloat,
  NAN,
  parseJson,
  toFloat,
  toJsonText,
  toPythonJsonText,
  toRepr,
} from '../../src/simulator/python-json.ts';

test('JSON goes in and out unchanged', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const plain = JSON.parse(JSON.stringify(value)) as never;
      expect(parseJson(toJsonText(plain))).toEqual(plain);
      expect(JSON.parse(toPythonJsonText(plain))).toEqual(plain);
    }),
  );
});

describe('numbers JSON does not have', () => {
  test('are read and written as bare tokens', () => {
    const value = parseJson('{"a": NaN, "b": [Infinity, -Infinity], "c": "NaN stays text"}');
    expect(toJsonText(value)).toBe('{"a":NaN,"b":[Infinity,-Infinity],"c":"NaN stays text"}');
  });
  test('are numbers for float()', () => {
    expect(toFloat(NAN)).toBeNaN();
    expect(fromFloat(Number.NaN)).toBe(NAN);
    expect(toFloat('inf')).toBe(Number.POSITIVE_INFINITY);
    expect(toFloat('wide')).toBeUndefined();
  });
});

test('what is not JSON is undefined', () => {
  expect(parseJson('{not json')).toBeUndefined();
  expect(parseJson('')).toBeUndefined();
  expect(parseJson('{NaN')).toBeUndefined();
});

test('texts for PNG files look like those of json.dumps', () => {
  expect(toPythonJsonText({ a: ['é', 1, null], b: {} })).toBe('{"a": ["\\u00e9", 1, null], "b": {}}');
});

test('values in messages look like those of repr()', () => {
  expect(toRepr({ a: [null, true, "it's"] })).toBe(`{'a': [None, True, "it's"]}`);
});
