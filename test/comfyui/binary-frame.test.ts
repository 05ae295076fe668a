import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBinaryFrame } from '../../src/comfyui/binary-frame.ts';
import { allRecordings, frameBytes } from './recordings.ts';

const frames = allRecordings().flatMap(({ ws }) => ws.filter((frame) => frame.type === 'binary'));
const withEvent = (event: number) => frames.filter((frame) => frame.event === event);

function frame(event: number, second: number, rest: string | Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(event, 0);
  head.writeUInt32BE(second, 4);
  return Buffer.concat([head, Buffer.from(rest)]);
}

describe('parseBinaryFrame on the recordings', () => {
  it('reads pictures without an owner in their format', () => {
    const pictures = withEvent(1);
    expect(pictures.length).toBeGreaterThan(50);
    for (const recorded of pictures) {
      const message = parseBinaryFrame(frameBytes(recorded));
      expect(message).toMatchObject({
        kind: 'preview',
        metadata: false,
        promptId: null,
        nodeId: null,
        mimeType: recorded.format === 1 ? 'image/jpeg' : 'image/png',
      });
      const image = message.kind === 'preview' ? Buffer.from(message.image) : Buffer.alloc(0);
      expect(image.length).toBe((recorded.length ?? 0) - 8);
      expect(image.subarray(0, 8).toString('hex')).toBe(recorded.payload_magic);
    }
  });

  it('reads previews with the prompt and the node they belong to', () => {
    const previews = withEvent(4);
    expect(previews.length).toBeGreaterThan(5);
    for (const recorded of previews) {
      const message = parseBinaryFrame(frameBytes(recorded));
      expect(message).toMatchObject({
        kind: 'preview',
        metadata: true,
        promptId: recorded.metadata?.prompt_id,
        nodeId: recorded.metadata?.node_id,
        displayNodeId: recorded.metadata?.display_node_id,
        mimeType: recorded.metadata?.image_type,
      });
      const image = message.kind === 'preview' ? Buffer.from(message.image) : Buffer.alloc(0);
      expect(image.subarray(0, 8).toString('hex')).toBe(recorded.payload_magic);
    }
  });

  it('reads live texts as UTF-8', () => {
    expect(withEvent(3).map((recorded) => parseBinaryFrame(frameBytes(recorded)))).toEqual([
      { kind: 'text', nodeId: '3', text: 'working é' },
    ]);
  });
});

describe('parseBinaryFrame on anything else', () => {
  it('makes a value of an event nobody knows, event 2 of the server itself included', () => {
    expect(parseBinaryFrame(frame(2, 1, 'x'))).toEqual({
      kind: 'unknown',
      type: 'binary:2',
      promptId: null,
      data: null,
    });
    expect(parseBinaryFrame(frame(99, 1, 'x')).kind).toBe('unknown');
  });

  it.each([
    ['an empty frame', Buffer.alloc(0)],
    ['a header cut short', Buffer.from([0, 0, 0, 1, 0])],
    ['a picture without bytes', frame(1, 1, '')],
    ['a picture of an unknown format', frame(1, 7, 'x')],
    ['a text whose node id is longer than the frame', frame(3, 100, 'abc')],
    ['metadata longer than the frame', frame(4, 0xffffffff, '{}')],
    ['metadata that is not an object', frame(4, 2, '[]image')],
    ['a preview without bytes', frame(4, 2, '{}')],
  ])('calls %s malformed', (_what, bytes) => {
    expect(parseBinaryFrame(bytes).kind).toBe('malformed');
  });

  it('never throws, also when a recorded frame is cut anywhere', () => {
    const recorded = [...withEvent(4).slice(0, 2), ...withEvent(3), ...withEvent(1).slice(0, 2)].map(
      frameBytes,
    );
    fc.assert(
      fc.property(fc.constantFrom(...recorded), fc.nat(400), (bytes, cut) => {
        expect(parseBinaryFrame(bytes.subarray(0, cut)).kind).toMatch(/^(preview|text|malformed)$/);
      }),
    );
    fc.assert(
      fc.property(fc.nat(5), fc.uint8Array({ maxLength: 64 }), (event, rest) => {
        expect(parseBinaryFrame(Buffer.concat([Buffer.from([0, 0, 0, event]), rest])).kind).toBeTypeOf(
          'string',
        );
      }),
    );
  });
});
