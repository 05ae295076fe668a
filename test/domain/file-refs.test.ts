import { describe, expect, it } from 'vitest';
import { fileRefOf, fileRefsOf, fileValueOf, mapFiles } from '../../src/domain/file-refs.ts';
import type { Graph } from '../../src/domain/graph.ts';

const ref = { sha256: 'ab', mimeType: 'image/png', as: 'name' } as const;
const graph: Graph = {
  '1': { class_type: 'LoadImage', inputs: { image: { $file: ref }, n: 1 } },
  '2': { class_type: 'X', inputs: { link: ['1', 0], text: '$file' } },
  '3': { class_type: 'LoadImage', inputs: { image: { $file: ref } } },
};

describe('files in a graph', () => {
  it('are found wherever an input is one', () => {
    expect(fileRefsOf(graph)).toEqual([ref, ref]);
  });

  it('are not seen in texts, links, lists or half-filled objects', () => {
    for (const input of ['$file', ['1', 0], null, 5, {}, { $file: null }, { $file: { sha256: 'ab' } }])
      expect(fileRefOf(input as never)).toBeNull();
    expect(fileValueOf({ $file: null })).toBeNull();
    expect(fileValueOf({ other: 1 })).toBeUndefined();
  });

  it('are replaced one by one, everything else staying as it is', () => {
    const names = mapFiles(graph, (value) => ({ $file: { ...(value as object), as: 'base64' } }));
    expect(fileRefsOf(names).map((found) => found.as)).toEqual(['base64', 'base64']);
    expect(names['2']).toEqual(graph['2']);
    expect(names['1']?.inputs.n).toBe(1);
  });
});
