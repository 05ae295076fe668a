import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkGraph, DEFAULT_GRAPH_LIMITS } from '../../src/domain/graph-check.ts';
import type { Json, JsonObject } from '../../src/lib/json.ts';

const node = (inputs: JsonObject = {}, classType = 'SaveImage'): JsonObject => ({
  class_type: classType,
  inputs,
});

/** The messages for node 1 whose only input is `value`; node 2 is there to be linked to. */
function problemsOf(value: Json, input = 'x', classType = 'AnyNode'): string[] {
  const checked = checkGraph({ '1': node({ [input]: value }, classType), '2': node() });
  if (checked.ok) return [];
  return checked.problems.map((problem) => problem.message);
}

describe('checkGraph', () => {
  it('takes a graph in the API format and keeps links, literals, files and titles', () => {
    const graph = {
      '1': {
        class_type: 'LoadImage',
        inputs: { image: { $file: { uploadId: 'u' } } },
        _meta: { title: 'In' },
      },
      '2': node({ images: ['1', 0], list: { __value__: [1, 2, 3] }, n: 1.5, flag: true, nothing: null }),
    };
    expect(checkGraph(graph)).toEqual({ ok: true, graph });
  });

  it('drops what a node carries besides its class, inputs and title', () => {
    const checked = checkGraph({ '1': { ...node(), is_changed: ['x'], _meta: 'no object' } });
    expect(checked).toEqual({ ok: true, graph: { '1': node() } });
  });

  it.each([
    ['a list', []],
    ['a text', 'graph'],
    ['null', null],
    ['no nodes', {}],
    ['the format of the editor', { nodes: [], links: [], version: 0.4 }],
  ])('calls %s no graph', (_what, value) => {
    expect(checkGraph(value)).toMatchObject({ ok: false, kind: 'structure', problems: [{ path: [] }] });
  });

  it('refuses more nodes, more text and more nesting than its limits', () => {
    const limits = { ...DEFAULT_GRAPH_LIMITS, maxNodes: 2, maxLength: 200, maxDepth: 3 };
    const deep = { '1': node({ x: { a: { b: { c: { d: 1 } } } } }) };
    expect(checkGraph({ '1': node(), '2': node() }, limits).ok).toBe(true);
    expect(checkGraph({ '1': node(), '2': node(), '3': node() }, limits).ok).toBe(false);
    expect(checkGraph({ '1': node({ text: 'x'.repeat(200) }) }, limits).ok).toBe(false);
    expect(checkGraph(deep, limits).ok).toBe(false);
    expect(checkGraph(deep).ok).toBe(true);
  });

  it('survives nesting that would exhaust the stack', () => {
    let value: Json = 1;
    for (let level = 0; level < 100_000; level++) value = [value];
    expect(checkGraph({ '1': node({ x: value }) }).ok).toBe(false);
  });

  it.each([
    ['is no object', 5],
    ['has no class', { inputs: {} }],
    ['has an empty class', { class_type: '', inputs: {} }],
    ['has no inputs', { class_type: 'X' }],
    ['has a list of inputs', { class_type: 'X', inputs: [] }],
  ])('names the node that %s', (_what, broken) => {
    const checked = checkGraph({ '1': node(), '7': broken });
    expect(checked).toMatchObject({ ok: false, kind: 'nodes', problems: [{ nodeId: '7' }] });
  });

  it('refuses names that would change a prototype', () => {
    const graph: unknown = JSON.parse('{"__proto__": {"class_type": "X", "inputs": {}}}');
    const inputs: unknown = JSON.parse('{"1": {"class_type": "X", "inputs": {"__proto__": 1}}}');
    expect(checkGraph(graph).ok).toBe(false);
    expect(checkGraph(inputs).ok).toBe(false);
  });

  it('checks every link whatever the name of the input', () => {
    expect(problemsOf(['2', 0], 'undeclared')).toEqual([]);
    expect(problemsOf(['9', 0], 'undeclared')).toEqual([expect.stringContaining("node '9'")]);
    expect(problemsOf(['toString', 0])).toHaveLength(1);
  });

  it.each([
    ['a negative slot', ['2', -1]],
    ['a broken slot', ['2', 0.5]],
    ['a truth value as slot', ['2', true]],
    ['a number as node id', [2, 0]],
    ['a list that is not wrapped', [1, 2, 3]],
    ['an empty list', []],
    ['a wrapped list that reads as a link', { __value__: ['9', 0] }],
    ['a file beside something else', { $file: { uploadId: 'u' }, x: 1 }],
    ['a file inside a value', { on: true, image: { $file: { uploadId: 'u' } } }],
    ['a number that JSON cannot carry', Infinity],
  ])('refuses %s', (_what, value) => {
    expect(problemsOf(value as Json)).toHaveLength(1);
  });

  it('finds circles, also through many nodes, and names the closing link', () => {
    const checked = checkGraph({
      a: node({ x: ['b', 0] }),
      b: node({ x: ['c', 0] }),
      c: node({ x: ['a', 0] }),
      lonely: node({ x: ['lonely', 0] }),
      fine: node({ x: ['a', 0] }),
    });
    expect(checked).toMatchObject({ ok: false, problems: [{ nodeId: 'c' }, { nodeId: 'lonely' }] });
  });

  it('walks a chain of thousands of nodes', () => {
    const chain = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, i) => [`${i}`, node(i < 4_999 ? { x: [`${i + 1}`, 0] } : {})]),
    );
    expect(checkGraph(chain).ok).toBe(true);
  });

  it('lets plain file names through to loading nodes', () => {
    for (const name of ['cat.png', 'sub/cat.png', 'my..cat.png', 'größe 2.png', 'a [1].png'])
      expect(problemsOf(name, 'image', 'LoadImage')).toEqual([]);
  });

  it.each([
    '../secret.png',
    'a/../../secret.png',
    'a/.. /secret.png',
    '/etc/passwd',
    ' /etc/passwd',
    '~/x.png',
    'C:/x.png',
    'c:x.png',
    'a\\b.png',
    '..\\x.png',
    'x\u0000.png',
    'x.png [output]',
    'x.png[INPUT] ',
    'x [temp]',
  ])('refuses %j as a file to load, wrapped or not', (name) => {
    expect(problemsOf(name, 'image', 'LoadImage')).toHaveLength(1);
    expect(problemsOf({ __value__: [name] }, 'video', 'VHS_LoadVideo')).toHaveLength(1);
    expect(problemsOf(name, 'output_path', 'Image Save')).toHaveLength(1);
  });

  it('leaves texts alone that name no file', () => {
    expect(problemsOf('../like this', 'text', 'CLIPTextEncode')).toEqual([]);
    expect(problemsOf('/9j/4AAQ', 'image', 'ETN_LoadImageBase64')).toEqual([]);
    expect(problemsOf('sdxl\\base.safetensors', 'ckpt_name', 'CheckpointLoaderSimple')).toEqual([]);
  });

  it('never throws, and never accepts a link that leads nowhere', () => {
    const graphs = fc.dictionary(
      fc.constantFrom('1', '2', '3', '__proto__'),
      fc.record(
        {
          class_type: fc.oneof(fc.constant('LoadImage'), fc.jsonValue()),
          inputs: fc.oneof(
            fc.dictionary(
              fc.string({ maxLength: 3 }),
              fc.oneof(
                fc.tuple(fc.constantFrom('1', '2', '3', '4'), fc.integer({ min: -1, max: 2 })),
                fc.jsonValue(),
              ),
            ),
            fc.jsonValue(),
          ),
        },
        { requiredKeys: [] },
      ),
    );
    fc.assert(
      fc.property(graphs, (graph) => {
        const checked = checkGraph(graph);
        if (!checked.ok) return checked.problems.length > 0;
        return Object.values(checked.graph).every((made) =>
          Object.values(made.inputs).every(
            (input) =>
              !Array.isArray(input) || (typeof input[0] === 'string' && Object.hasOwn(graph, input[0])),
          ),
        );
      }),
      { numRuns: 500 },
    );
  });
});
