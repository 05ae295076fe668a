import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTraceparent } from '../../src/tracing/traceparent.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('a traceparent', () => {
  it('is read as the W3C writes it', () => {
    const sampled = { traceId: TRACE, spanId: SPAN, traceFlags: 1, isRemote: true };
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`)).toEqual(sampled);
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-00`)).toEqual({ ...sampled, traceFlags: 0 });
  });

  it('of a later version is read as far as it is known', () => {
    expect(parseTraceparent(`01-${TRACE}-${SPAN}-03-what-is-new`)).toMatchObject({
      traceId: TRACE,
      traceFlags: 1,
    });
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['an empty text', ''],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['more fields than version 00 has', `00-${TRACE}-${SPAN}-01-more`],
    ['capital letters', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['something before it', ` 00-${TRACE}-${SPAN}-01`],
    ['something after it', `00-${TRACE}-${SPAN}-01\n`],
  ])('is none: %s', (_what, text) => {
    expect(parseTraceparent(text)).toBeNull();
  });

  it('is none, and no error, whatever a client sends', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f-]{0,60}$/)), (text) => {
        const context = parseTraceparent(text);
        if (context) expect(text).toContain(`-${context.traceId}-${context.spanId}-`);
      }),
    );
  });
});
