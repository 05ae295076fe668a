import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/domain/graph.ts';
import type { Json, JsonObject } from '../../src/lib/json.ts';
import { materialise } from '../../src/workflows/materialise.ts';

const ATTEMPT = '0b0e8a52-6d0c-4a3b-9d2e-7d5c1f1a2b3c';
/** In the file's name: results saved in one folder do not overwrite each other. */
const TAG = '1f1a2b3c';
const tools = {
  attemptId: ATTEMPT,
  fileName: (ref: { sha256: string }) => `cf-${ref.sha256}.png`,
  base64: async (ref: { sha256: string }) => `BASE64-${ref.sha256}`,
};
const file = (as: 'name' | 'base64'): JsonObject => ({ $file: { sha256: 'ab', mimeType: 'image/png', as } });

async function prefixOf(prefix: Json): Promise<Json | undefined> {
  const graph: Graph = { '1': { class_type: 'AnySaver', inputs: { filename_prefix: prefix } } };
  return (await materialise(graph, tools))['1']?.inputs.filename_prefix;
}

describe('materialise', () => {
  it('puts the name or the base64 text where a file stood, and leaves the stored graph alone', async () => {
    const graph: Graph = {
      '1': { class_type: 'LoadImage', inputs: { image: file('name') } },
      '2': { class_type: 'ETN_LoadImageBase64', inputs: { image: file('base64'), other: ['1', 0] } },
    };
    const before = JSON.stringify(graph);
    expect(await materialise(graph, tools)).toEqual({
      '1': { class_type: 'LoadImage', inputs: { image: 'cf-ab.png' } },
      '2': { class_type: 'ETN_LoadImageBase64', inputs: { image: 'BASE64-ab', other: ['1', 0] } },
    });
    expect(JSON.stringify(graph)).toBe(before);
  });

  it('refuses a graph whose files were never stored: that is a bug', async () => {
    const graph: Graph = {
      '1': { class_type: 'LoadImage', inputs: { image: { $file: { uploadId: 'u' } } } },
    };
    await expect(materialise(graph, tools)).rejects.toThrow(/stored file/);
  });

  it("keeps the last part of a prefix below the attempt's own folder", async () => {
    expect(await prefixOf('holiday')).toBe(`cf/${ATTEMPT}/holiday_${TAG}`);
    expect(await prefixOf('../../etc/x')).toBe(`cf/${ATTEMPT}/x_${TAG}`);
    expect(await prefixOf('a\\b\\c')).toBe(`cf/${ATTEMPT}/c_${TAG}`);
    expect(await prefixOf('%date:yyyy%.v2')).toBe(`cf/${ATTEMPT}/date_yyyy_v2_${TAG}`);
    for (const empty of ['', '..', 'a/', 'größe/..', ['7', 0], 5, null] as Json[])
      expect(await prefixOf(empty)).toBe(`cf/${ATTEMPT}/ComfyUI_${TAG}`);
  });

  it('gives known save nodes a prefix even when the graph names none', async () => {
    const graph: Graph = {
      '1': { class_type: 'SaveImage', inputs: { images: ['2', 0] } },
      '2': { class_type: 'PreviewImage', inputs: {} },
    };
    const made = await materialise(graph, tools);
    expect(made['1']?.inputs.filename_prefix).toBe(`cf/${ATTEMPT}/ComfyUI_${TAG}`);
    expect(made['2']?.inputs).toEqual({});
  });

  it('leaves no file unfilled and no path of a client in a prefix, whatever the graph', async () => {
    const inputs = fc.dictionary(
      fc.constantFrom('image', 'filename_prefix', 'text'),
      fc.oneof(
        fc.constantFrom(file('name'), file('base64')),
        fc.string({ unit: 'binary' }),
        fc.constant('../a/b'),
      ),
    );
    const graphs = fc.dictionary(
      fc.constantFrom('1', '2', '3'),
      fc.record({ class_type: fc.constantFrom('SaveImage', 'LoadImage', 'Other'), inputs }),
    );
    await fc.assert(
      fc.asyncProperty(graphs, async (graph) => {
        const made = await materialise(graph, tools);
        for (const [id, node] of Object.entries(made)) {
          for (const input of Object.values(node.inputs)) expect(input).toBeTypeOf('string');
          const named = 'filename_prefix' in node.inputs;
          expect(named).toBe(
            'filename_prefix' in (graph[id]?.inputs ?? {}) || node.class_type === 'SaveImage',
          );
          if (named)
            expect(node.inputs.filename_prefix).toMatch(
              new RegExp(`^cf/${ATTEMPT}/[A-Za-z0-9_-]{1,64}_${TAG}$`),
            );
        }
      }),
    );
  });
});
