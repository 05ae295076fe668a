import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHistoryReply } from '../../src/comfyui/history.ts';
import { parseLenientJson } from '../../src/comfyui/lenient-json.ts';
import { collectOutputItems, nodeOutputItems, type OutputItems } from '../../src/comfyui/output-items.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import { recordedHistories } from './recordings.ts';

function outputsOf(name: string): OutputItems[] {
  return recordedHistories()
    .filter((history) => history.name === name)
    .map(({ promptId, body }) => {
      const json = parseLenientJson(body);
      const reply = parseHistoryReply(json.ok ? json.value : null, promptId);
      return collectOutputItems(reply.kind === 'entry' ? reply.entry.outputs : {});
    });
}

describe('collectOutputItems on the recordings', () => {
  const items = outputsOf('media_outputs').flatMap((outputs) => outputs.items);
  const file = (filename: string) =>
    items.find((item) => item.kind === 'file' && item.file.filename === filename);

  it.each([
    ['anim_00001_.webp', 'images', '', true],
    ['anim_00002_.png', 'images', '', true],
    ['vid_00001_.webm', 'images', '', true],
    ['v_00001_.mp4', 'images', 'video', true],
    ['a_00001_.flac', 'audio', 'audio', false],
    ['a_00002_.mp3', 'audio', 'audio', false],
  ])('finds %s under %j, whatever it is', (filename, key, subfolder, animated) => {
    expect(file(filename)).toEqual({
      kind: 'file',
      node: '2',
      key,
      file: { filename, subfolder, type: 'output' },
      animated,
    });
  });

  it('marks what lies in the temp folder', () => {
    expect(file('ComfyUI_temp_hyepp_00001_.flac')).toMatchObject({ file: { type: 'temp' } });
  });

  it('takes strings in lists for texts and counts what is neither file nor text', () => {
    const mixed = outputsOf('media_outputs').find(
      (outputs) => outputs.items.some((item) => item.key === 'text') && outputs.ignored > 0,
    );
    expect(mixed?.items.map((item) => item.kind)).toContain('text');
    expect(outputsOf('nan_output')).toEqual([{ items: [], ignored: 2 }]);
  });

  it('finds no file in a picture that went over the socket', () => {
    expect(
      collectOutputItems({
        '1': { images: [{ source: 'websocket', 'content-type': 'image/png', type: 'output' }] },
      }),
    ).toEqual({
      items: [],
      ignored: 1,
    });
  });
});

describe('collectOutputItems', () => {
  it('takes no file from a folder that /view does not know', () => {
    expect(
      nodeOutputItems('1', { images: [{ filename: 'x.png', subfolder: '', type: '../etc' }] }).items,
    ).toEqual([]);
  });

  it('reads nothing from a cached node without output', () => {
    expect(nodeOutputItems('1', null)).toEqual({ items: [], ignored: 0 });
  });

  it('accounts for every value of every list, whatever the outputs are', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string(),
          fc.dictionary(
            fc.string().filter((key) => key !== 'animated'),
            fc.array(fc.jsonValue()),
          ),
        ),
        (outputs) => {
          const { items, ignored } = collectOutputItems(outputs as JsonObject);
          const values = Object.values(outputs).flatMap((node) => Object.values(node).flat(1));
          expect(items.length + ignored).toBe(values.length);
        },
      ),
    );
  });
});
