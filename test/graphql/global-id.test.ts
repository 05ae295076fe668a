import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventCursor, jobCursor, parseEventCursor, parseJobCursor } from '../../src/graphql/cursors.ts';
import { decodeGlobalId, globalId, NODE_TYPES, rawId } from '../../src/graphql/global-id.ts';

describe('opaque ids and cursors', () => {
  it('lead back to what they name, and fit into addresses', () => {
    const type = fc.constantFrom(...NODE_TYPES);
    const id = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(type, id, (name, row) => {
        const text = globalId(name, row);
        expect(text).toMatch(/^[\w-]+$/);
        expect(decodeGlobalId(text)).toEqual({ type: name, id: row });
        expect(rawId(text, name)).toBe(row);
        expect(rawId(text, ...NODE_TYPES.filter((other) => other !== name))).toBeNull();
      }),
    );
  });

  it('of jobs and events come back as they were', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9e14 }), fc.uuid(), fc.nat(), (createdAt, id, seq) => {
        expect(parseJobCursor(jobCursor({ createdAt, id }))).toEqual({ createdAt, id });
        expect(parseEventCursor(eventCursor(seq))).toBe(seq);
        expect(parseEventCursor(jobCursor({ createdAt, id }))).toBeNull();
      }),
    );
  });

  it('never throw, whatever text is sent', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const decoded = decodeGlobalId(text);
        expect(decoded === null || (decoded.type !== '' && decoded.id !== '')).toBe(true);
        expect(parseEventCursor(text) ?? 0).toBeGreaterThanOrEqual(0);
        expect(parseJobCursor(text)?.createdAt ?? 0).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
