import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Envelope, open, seal } from '../../src/events/envelope.ts';
import type { BusMessage } from '../../src/events/messages.ts';
import { commentary, durable, hint, job, preview, progress } from './messages.ts';

const messages: readonly BusMessage[] = [
  durable('a', 1),
  job('a', 1, { type: 'durable', event: { type: 'retried', attemptId: 'x', delayMs: 5 } }),
  job('a', 1, { type: 'durable', event: { type: 'finished', status: 'FAILED' } }),
  progress('a', 0.5),
  preview('a', 3),
  commentary('a', '4'),
  job('a', 1, { type: 'cached', nodes: ['1'] }),
  job('a', 1, { type: 'comfy', messageType: 'x', data: { deep: [[{ a: null }]] } }),
  job('a', 1, { type: 'deleted' }),
  { kind: 'instance', instanceId: 'gpu', at: 5 },
  { kind: 'queue', at: 6 },
  hint('job-queued', 'a'),
  hint('instances-changed'),
];
const news = (message: BusMessage): Envelope => ({ type: 'news', from: 'me', n: 7, message });

describe('envelopes of the bus', () => {
  it.each(messages)('carry %j unchanged', (message) => {
    expect(open(seal(news(message)) ?? '')).toEqual({ v: 1, ...news(message) });
  });

  it('carry beats and byes', () => {
    for (const type of ['beat', 'bye'] as const) {
      expect(open(seal({ type, from: 'me', n: 3 }) ?? '')).toMatchObject({ type, from: 'me', n: 3 });
    }
  });

  it('never throw, whatever came in, and pass no part of a message that is wrong', () => {
    const wrong = fc.record({
      v: fc.constant(1),
      type: fc.constant('news'),
      from: fc.constant('me'),
      n: fc.nat(),
      message: fc.oneof(
        fc.jsonValue(),
        fc.record({
          kind: fc.constantFrom('job', 'hint', 'instance'),
          jobId: fc.jsonValue(),
          change: fc.jsonValue(),
        }),
      ),
    });
    fc.assert(fc.property(fc.string(), (text) => open(text).type === 'malformed'));
    fc.assert(fc.property(wrong, (value) => open(JSON.stringify(value)).type === 'malformed'));
  });

  it.each([
    { n: -1 },
    { n: 1.5 },
    { n: null },
    { from: '' },
    { from: 'x'.repeat(65) },
    { type: 'shout' },
    { message: { kind: 'job' } },
  ])('are refused with %j', (patch) => {
    expect(open(JSON.stringify({ v: 1, ...news(durable('a', 1)), ...patch }))).toEqual({ type: 'malformed' });
  });

  it('bear what is nested without end', () => {
    expect(open('['.repeat(100_000)).type).toBe('malformed');
    expect(open(`${'{"v":'.repeat(20_000)}1${'}'.repeat(20_000)}`).type).toBe('malformed');
  });

  it('tell news of other versions from noise', () => {
    expect(open('{"v":2,"anything":"else"}')).toEqual({ type: 'foreign' });
    expect(open('{"v":"2"}')).toEqual({ type: 'malformed' });
  });

  it('are not made for what nobody would read, and what is too long is not read', () => {
    const long = job('a', 1, { type: 'comfy', messageType: 'x', data: 'y'.repeat(300_000) });
    expect(seal(news(long))).toBeNull();
    expect(open(JSON.stringify({ v: 1, ...news(long) }))).toEqual({ type: 'malformed' });
  });
});
