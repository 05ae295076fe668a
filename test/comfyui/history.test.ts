import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decideEnd,
  type HistoryEntry,
  type PromptEnd,
  parseHistoryEntry,
  parseHistoryReply,
} from '../../src/comfyui/history.ts';
import { parseLenientJson } from '../../src/comfyui/lenient-json.ts';
import type { Json } from '../../src/lib/json.ts';
import { recordedHistories } from './recordings.ts';

interface Recorded {
  readonly name: string;
  readonly entry: HistoryEntry;
  readonly end: PromptEnd;
}

const recorded: Recorded[] = recordedHistories().map(({ name, promptId, body }) => {
  const json = parseLenientJson(body);
  const reply = parseHistoryReply(json.ok ? json.value : null, promptId);
  if (reply.kind !== 'entry') throw new Error(`${name}: ${reply.kind}`);
  return { name, entry: reply.entry, end: decideEnd(reply.entry) };
});
const endsIn = (name: string): PromptEnd[] =>
  recorded.filter((one) => one.name === name).map((one) => one.end);

describe('decideEnd on the recorded histories', () => {
  it('decides every recorded prompt by its last message', () => {
    expect(recorded.length).toBeGreaterThan(40);
    for (const { entry, end } of recorded) {
      const last = entry.messages.at(-1)?.type;
      const expected = {
        execution_success: 'succeeded',
        execution_error: 'failed',
        execution_interrupted: 'interrupted',
      }[last ?? ''];
      expect(end.kind).toBe(expected);
    }
  });

  it('does not believe the status "success" of a graph that went in a circle', () => {
    expect(recorded.find((one) => one.name === 'dynamic_cycle')?.entry.status).toBe('success');
    expect(endsIn('dynamic_cycle')).toEqual([
      {
        kind: 'failed',
        nodeId: '1',
        nodeType: 'RigExpandLoop',
        exceptionType: 'graph.DependencyCycleError',
        message: 'Dependency cycle detected',
      },
    ]);
  });

  it('tells an interrupt from an error, although both have the status "error"', () => {
    const interrupted = recorded.filter((one) => one.end.kind === 'interrupted');
    expect(interrupted.length).toBeGreaterThan(3);
    for (const { entry } of interrupted) expect(entry.status).toBe('error');
    expect(endsIn('interrupt_ksampler')).toEqual([{ kind: 'interrupted' }]);
  });

  it('calls a run with a blocked output a success, whose outputs are missing', () => {
    expect(new Set(endsIn('execution_blocked').map((end) => end.kind))).toEqual(new Set(['succeeded']));
  });

  it('does not take outputs for a success', () => {
    const entries = recorded.filter(
      (one) => one.name === 'interrupt_repeat_state' && one.end.kind === 'interrupted',
    );
    expect(entries.some((one) => Object.keys(one.entry.outputs).length > 0)).toBe(true);
  });

  it('reads a history with NaN in an output', () => {
    expect(endsIn('nan_output')).toEqual([{ kind: 'succeeded' }]);
  });

  it('names the node of the submitted graph when a node made at run time failed', () => {
    expect(endsIn('expanded_graph')).toContainEqual(expect.objectContaining({ kind: 'failed', nodeId: '1' }));
  });

  it('reads when the run began and ended', () => {
    for (const { entry } of recorded) {
      expect(entry.startedAt).toBeGreaterThan(1_700_000_000_000);
      expect(entry.endedAt).toBeGreaterThanOrEqual(entry.startedAt ?? Number.NaN);
    }
  });
});

describe('a history that lies', () => {
  const lying = (timestamp: Json): HistoryEntry | null =>
    parseHistoryEntry('p', {
      status: {
        messages: [
          ['execution_start', { timestamp }],
          ['execution_success', {}],
        ],
      },
    });

  it('tells no moment that cannot be stored (F10)', () => {
    for (const odd of [1e300, -1, 0.5, 2 ** 60, 'noon', null]) expect(lying(odd)?.startedAt).toBeNull();
    expect(lying(1_700_000_000_000)?.startedAt).toBe(1_700_000_000_000);
  });

  it('names no node by a text of a megabyte (F10)', () => {
    const data = { node_id: 'n'.repeat(1e6), node_type: 't'.repeat(1e6), exception_message: 'sad' };
    const entry = parseHistoryEntry('p', { status: { messages: [['execution_error', data]] } });
    const end = entry && decideEnd(entry);
    expect(end).toMatchObject({ kind: 'failed', message: 'sad' });
    expect(JSON.stringify(end).length).toBeLessThan(1000);
  });
});

describe('decideEnd', () => {
  const ended = (...types: string[]): HistoryEntry => {
    const entry = parseHistoryEntry('p', {
      status: { status_str: 'success', messages: types.map((type) => [type, {}]) },
    });
    if (!entry) throw new Error('not an entry');
    return entry;
  };

  it('puts interrupted before failed before succeeded, in whatever order they came', () => {
    expect(decideEnd(ended('execution_success', 'execution_error', 'execution_interrupted')).kind).toBe(
      'interrupted',
    );
    expect(decideEnd(ended('execution_success', 'execution_error')).kind).toBe('failed');
    expect(decideEnd(ended('execution_success')).kind).toBe('succeeded');
  });

  it('does not guess when no message tells the end', () => {
    expect(decideEnd(ended('execution_start')).kind).toBe('unknown');
    expect(decideEnd(ended()).kind).toBe('unknown');
  });
});

describe('parseHistoryReply', () => {
  it('tells which output nodes were to be run', () => {
    for (const { name, entry } of recorded) expect(entry.asked?.length, name).toBeGreaterThan(0);
    const reply = parseHistoryReply({ p: { outputs: {}, prompt: [1, 'p', {}, {}, ['9', 4]] } }, 'p');
    expect(reply).toMatchObject({ kind: 'entry', entry: { asked: ['9'] } });
    expect(parseHistoryReply({ p: { outputs: {} } }, 'p')).toMatchObject({ entry: { asked: null } });
  });

  it('knows an absent prompt from a broken answer', () => {
    expect(parseHistoryReply({}, 'p')).toEqual({ kind: 'absent' });
    expect(parseHistoryReply([], 'p').kind).toBe('malformed');
    expect(parseHistoryReply({ p: 3 }, 'p').kind).toBe('malformed');
    expect(parseHistoryReply({ p: { status: null, outputs: {} } }, 'p')).toMatchObject({
      kind: 'entry',
      entry: { status: null },
    });
  });

  it('does not find a prompt named like a property of every object', () => {
    expect(parseHistoryReply({}, 'constructor').kind).toBe('absent');
  });

  it('never throws, whatever the entry is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (status, messages) => {
        for (const entry of [
          status,
          { status, outputs: messages, meta: messages },
          { status: { messages } },
        ]) {
          const reply = parseHistoryReply({ p: entry as Json }, 'p');
          if (reply.kind === 'entry') expect(decideEnd(reply.entry).kind).toBeTypeOf('string');
          else expect(reply.kind).toBe('malformed');
        }
      }),
    );
  });
});
