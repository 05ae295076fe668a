import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { momentOf, parseTimeInput, timeInputText } from '../../src/graphql/time-input.ts';

const NOW = 1_700_000_000_000;
const moment = (value: unknown): number | null => {
  const parsed = parseTimeInput(value);
  return parsed && momentOf(parsed, NOW);
};

describe('a TimeInput', () => {
  it.each([
    ['now', NOW],
    ['now-6h', NOW - 6 * 3_600_000],
    ['now-30d', NOW - 30 * 86_400_000],
    ['now-90s', NOW - 90_000],
    [1_600_000_000_000, 1_600_000_000_000],
    ['1600000000000', 1_600_000_000_000],
    ['2026-01-31T12:00:00Z', Date.UTC(2026, 0, 31, 12)],
    ['2026-01-31T12:00:00.250+02:00', Date.UTC(2026, 0, 31, 10, 0, 0, 250)],
  ])('%s is a moment', (value, expected) => expect(moment(value)).toBe(expected));

  it.each([
    '',
    'yesterday',
    'now+1h',
    'now-1y',
    'now-999999999w',
    '2026-01-31',
    '2026-13-01T00:00:00Z',
    1.5,
    Number.NaN,
    9e15,
    null,
    {},
  ])('%s is none', (value) => expect(moment(value)).toBeNull());

  it('means the same moment as a number, a numeric text and RFC 3339', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000_000 }), (at) => {
        expect([moment(at), moment(String(at)), moment(new Date(at).toISOString())]).toEqual([at, at, at]);
      }),
    );
  });

  it.each(['now', 'now-1h', 'now-30d', 'now-90s', 'now-1ms', '1600000000000'])(
    '%s is printed as it is written',
    (text) => {
      const parsed = parseTimeInput(text);
      expect(parsed && timeInputText(parsed)).toBe(text);
    },
  );

  it('is never anything but a whole number of ms or nothing, whatever is sent', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        const at = moment(value);
        expect(at === null || Number.isInteger(at)).toBe(true);
      }),
    );
  });
});
