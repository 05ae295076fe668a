/** The comparison itself can fail: each kind of difference is found, and each tolerance lets through only what it names. */
import { describe, expect, test } from 'vitest';
import { compare } from './compare.ts';
import { Names } from './names.ts';
import { type Observation, observeRecording, type SocketItem } from './observation.ts';
import { loadRecording, recordingNames } from './recording.ts';

function text(type: string, data: Record<string, unknown>): SocketItem {
  return { type: 'text', data: { type, data } };
}

const status = (n: number): SocketItem => text('status', { status: { exec_info: { queue_remaining: n } } });
const run = [
  status(1),
  text('execution_start', { prompt_id: 'p', timestamp: 1 }),
  text('executing', { node: '1', display_node: '1', prompt_id: 'p' }),
  text('executing', { node: null, prompt_id: 'p' }),
];

function socket(...items: SocketItem[]): Observation {
  return { sockets: { A: items }, answers: [] };
}

function answer(status: number, json: unknown, headers: Record<string, string> = {}): Observation {
  return { sockets: {}, answers: [{ title: '#0', status, headers, body: { kind: 'json', json } }] };
}

const same = (recorded: Observation, actual: Observation, names = new Names()): boolean =>
  compare(recorded, actual, names).length === 0;

describe('compare', () => {
  test('finds no difference between a sequence and itself', () => {
    expect(compare(socket(...run), socket(...run), new Names())).toEqual([]);
  });

  test('finds a changed field, and says where', () => {
    const changed = run.with(2, text('executing', { node: '1', display_node: '2', prompt_id: 'p' }));
    expect(compare(socket(...run), socket(...changed), new Names())).toEqual([
      { where: 'socket A[2].data.data.display_node', recorded: '"1"', actual: '"2"' },
    ]);
  });

  test('finds a missing and an additional field', () => {
    expect(same(answer(200, { a: 1, b: 2 }), answer(200, { a: 1 }))).toBe(false);
    expect(same(answer(200, { a: 1 }), answer(200, { a: 1, b: 2 }))).toBe(false);
  });

  test('finds a missing, an additional and a swapped message', () => {
    expect(same(socket(...run), socket(...run.slice(0, -1)))).toBe(false);
    expect(same(socket(...run), socket(...run.slice(1)))).toBe(false);
    expect(same(socket(...run), socket(...run, status(0)))).toBe(false);
    const [first, second, third, fourth] = run as [SocketItem, SocketItem, SocketItem, SocketItem];
    expect(same(socket(...run), socket(first, third, second, fourth))).toBe(false);
  });

  test('finds a socket or an answer that is not there', () => {
    expect(same(socket(...run), { sockets: {}, answers: [] })).toBe(false);
    expect(same({ sockets: {}, answers: [] }, socket(...run))).toBe(false);
    expect(same(answer(200, {}), { sockets: {}, answers: [] })).toBe(false);
  });

  test('finds another status, header or close code', () => {
    expect(same(answer(200, {}), answer(400, {}))).toBe(false);
    expect(same(answer(200, {}, { connection: 'close' }), answer(200, {}))).toBe(false);
    expect(same(socket({ type: 'closed', code: 1006 }), socket({ type: 'closed', code: 1000 }))).toBe(false);
  });

  test('tells numbers that are not numbers apart', () => {
    expect(same(answer(200, { number: Number.NaN }), answer(200, { number: Number.NaN }))).toBe(true);
    expect(same(answer(200, { number: Number.NaN }), answer(200, { number: null }))).toBe(false);
  });

  test('compares paired names by value, so that a wrong prompt id is found', () => {
    const names = new Names();
    names.learn('recorded-id', 'our-id');
    expect(same(answer(200, { prompt_id: 'recorded-id' }), answer(200, { prompt_id: 'our-id' }), names)).toBe(
      true,
    );
    expect(same(answer(200, { prompt_id: 'recorded-id' }), answer(200, { prompt_id: 'other' }), names)).toBe(
      false,
    );
  });

  test('lets timestamps differ, but not be anything else', () => {
    expect(same(answer(200, { timestamp: 1 }), answer(200, { timestamp: 2 }))).toBe(true);
    expect(same(answer(200, { timestamp: 1 }), answer(200, { timestamp: '2' }))).toBe(false);
  });

  test('lets the order differ only in lists that come from a set', () => {
    expect(same(answer(200, { executed: ['1', '2'] }), answer(200, { executed: ['2', '1'] }))).toBe(true);
    expect(same(answer(200, { executed: ['1', '2'] }), answer(200, { executed: ['2', '2'] }))).toBe(false);
    expect(same(answer(200, { nodes: ['1', '2'] }), answer(200, { nodes: ['2', '1'] }))).toBe(false);
  });

  test('compares a text that the recording cut, up to the cut', () => {
    const head = (text: string): Observation => socket({ type: 'text', head: text });
    const long = `{"type": "executed", "data": {"node": "1", "text": "${'y'.repeat(100)}`;
    expect(same(head(long), head(`${long.replaceAll('": ', '":')}yyyy"}`))).toBe(true);
    expect(same(head(long), head(`${long.replace('executed', 'executing')}yyyy"}`))).toBe(false);
  });

  test('with a race of statuses still compares the run, and the statuses, each in order', () => {
    const special = ['statusRace'] as const;
    const [first, ...rest] = run as [SocketItem, ...SocketItem[]];
    const moved = socket(...rest, first);
    expect(compare(socket(...run), moved, new Names(), { special })).toEqual([]);
    expect(compare(socket(...run), socket(...rest), new Names(), { special })).not.toEqual([]);
    expect(compare(socket(...run), socket(...rest, status(2)), new Names(), { special })).not.toEqual([]);
  });
});

describe('observeRecording', () => {
  test.each(recordingNames())(
    '%s differs from itself as soon as a message or an answer is changed',
    (name) => {
      const whole = observeRecording(loadRecording(name));
      expect(compare(whole, whole, new Names())).toEqual([]);
      for (const [client, items] of Object.entries(whole.sockets)) {
        // Every seventh message, to keep it quick; two equal neighbours make a missing one show at the end.
        for (const index of [...items.keys()].filter((at) => at % 7 === 0)) {
          const sockets = { ...whole.sockets, [client]: items.toSpliced(index, 1) };
          expect(compare(whole, { ...whole, sockets }, new Names())).not.toEqual([]);
        }
      }
      for (const index of whole.answers.keys()) {
        const answers = whole.answers.map((seen, at) => (at === index ? { ...seen, status: 299 } : seen));
        expect(compare(whole, { ...whole, answers }, new Names())).not.toEqual([]);
      }
    },
  );
});
