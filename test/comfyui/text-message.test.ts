import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ComfyMessage } from '../../src/comfyui/messages.ts';
import { parseTextMessage } from '../../src/comfyui/text-message.ts';
import { isObject } from '../../src/lib/json.ts';
import { allRecordings, frameText, recording } from './recordings.ts';

const KIND_OF_TYPE: Record<string, ComfyMessage['kind']> = {
  status: 'status',
  execution_start: 'executionStart',
  execution_cached: 'executionCached',
  executing: 'executing',
  progress: 'progress',
  progress_state: 'progressState',
  executed: 'executed',
  execution_success: 'executionSuccess',
  execution_error: 'executionError',
  execution_interrupted: 'executionInterrupted',
  feature_flags: 'featureFlags',
};

function recordedMessages(name: string): ComfyMessage[] {
  return recording(name)
    .ws.filter((frame) => frame.type === 'text')
    .map((frame) => parseTextMessage(frameText(frame) ?? ''));
}

describe('parseTextMessage on the recordings', () => {
  const frames = allRecordings().flatMap(({ ws }) => ws.filter((frame) => frame.type === 'text'));

  it('reads every recorded text frame as the message its type says', () => {
    let seen = 0;
    for (const frame of frames) {
      const text = frameText(frame);
      if (text === null) continue;
      const type = isObject(frame.data) ? String(frame.data.type) : 'executed';
      expect(parseTextMessage(text).kind, text.slice(0, 300)).toBe(KIND_OF_TYPE[type]);
      seen++;
    }
    expect(seen).toBeGreaterThan(2000);
  });

  it('keeps the prompt id of each message that carries one', () => {
    for (const frame of frames) {
      const text = frameText(frame);
      if (text === null || !isObject(frame.data) || !isObject(frame.data.data)) continue;
      const promptId = frame.data.data.prompt_id;
      if (promptId !== undefined) expect(parseTextMessage(text)).toMatchObject({ promptId });
    }
  });

  it('reads the output of a message that holds NaN', () => {
    expect(recordedMessages('nan_output').filter((message) => message.kind === 'executed')).toContainEqual({
      kind: 'executed',
      promptId: '4f3360b7-18f0-44d5-96d0-c1cda963350f',
      node: '1',
      displayNode: '1',
      output: { score: [null, null] },
    });
  });

  it('names the client in the first status of a connection only', () => {
    const sids = recordedMessages('core_image').flatMap((message) =>
      message.kind === 'status' ? [message.sid] : [],
    );
    expect(sids[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(sids.slice(1))).toEqual(new Set([null]));
  });

  it('reads the executing message of a reconnect, which has a node only', () => {
    expect(recordedMessages('reconnect_during_run')).toContainEqual({
      kind: 'executing',
      promptId: null,
      node: '1',
      displayNode: '1',
    });
  });

  it('reads the progress of nodes that were made at run time', () => {
    const state = recordedMessages('expanded_graph').find(
      (message) =>
        message.kind === 'progressState' && message.nodes.some((node) => node.nodeId === '1.0.0.1'),
    );
    expect(state).toMatchObject({
      nodes: expect.arrayContaining([
        expect.objectContaining({ nodeId: '1.0.0.1', displayNodeId: '1', realNodeId: '1', state: 'running' }),
      ]),
    });
  });

  it('reads a blocked output as an error of its own type', () => {
    expect(recordedMessages('execution_blocked')).toContainEqual(
      expect.objectContaining({
        kind: 'executionError',
        nodeId: '2',
        nodeType: 'SaveImage',
        exceptionType: 'ExecutionBlocked',
        exceptionMessage: 'Execution Blocked: blocked by rig',
      }),
    );
  });

  it('trims the newline that ends every exception message', () => {
    const errors = recordedMessages('node_error').filter((message) => message.kind === 'executionError');
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) expect(error.exceptionMessage).toBe(error.exceptionMessage.trim());
    expect(JSON.stringify(recording('node_error').ws)).toContain('\\n"');
  });

  it('reads a cached output node without ui as executed with no output', () => {
    const outputs = recordedMessages('cached_without_ui').flatMap((message) =>
      message.kind === 'executed' ? [message.output] : [],
    );
    expect(outputs).toContain(null);
  });
});

describe('parseTextMessage on anything else', () => {
  it('makes a value of a type that custom nodes send', () => {
    expect(parseTextMessage('{"type": "crystools.monitor", "data": {"cpu": 3, "prompt_id": "p"}}')).toEqual({
      kind: 'unknown',
      type: 'crystools.monitor',
      promptId: 'p',
      data: { cpu: 3, prompt_id: 'p' },
    });
  });

  it('does not take a property of every object for a message type', () => {
    expect(parseTextMessage('{"type": "constructor", "data": {}}').kind).toBe('unknown');
  });

  it.each([
    '',
    'null',
    '[1,2]',
    '{"data":{}}',
    '{"type":"status","data":null}',
    '{"type":"execution_start","data":{}}',
  ])('calls %j malformed', (text) => {
    expect(parseTextMessage(text).kind).toBe('malformed');
  });

  it('never throws on objects that only look like messages', () => {
    const type = fc.constantFrom(...Object.keys(KIND_OF_TYPE), 'other');
    fc.assert(
      fc.property(
        type,
        fc.jsonValue(),
        fc.dictionary(
          fc.constantFrom('nodes', 'status', 'prompt_id', 'node', 'value', 'max'),
          fc.jsonValue(),
        ),
        (name, data, fields) => {
          for (const content of [data, fields]) {
            const message = parseTextMessage(JSON.stringify({ type: name, data: content }));
            expect(['malformed', 'unknown', KIND_OF_TYPE[name]]).toContain(message.kind);
          }
        },
      ),
    );
  });
});
