import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { needsOf } from '../../src/domain/capabilities.ts';
import { loadWorkflows, WorkflowFilesError } from '../../src/workflows/registry.ts';

const shipped = new URL('../../workflows', import.meta.url).pathname;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'workflows-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const minimal = (name: string): object => ({
  name,
  description: 'one node',
  inputs: [],
  graph: { '1': { class_type: 'SaveImage', inputs: { text: '' } } },
  outputs: ['1'],
});

function problemsOf(files: Record<string, object | string>): readonly string[] {
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(dir, name), typeof content === 'string' ? content : JSON.stringify(content));
  try {
    loadWorkflows(dir);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(WorkflowFilesError);
    return (error as WorkflowFilesError).problems;
  }
}

describe('loadWorkflows', () => {
  it('reads the three shipped workflows with the nodes and the model they promise', () => {
    const registry = loadWorkflows(shipped);
    expect(registry.list().map((workflow) => workflow.name)).toEqual([
      'generateImage',
      'removeBackground',
      'upscaleImage',
    ]);
    const needs = registry.list().map((workflow) => needsOf(workflow.graph));
    expect(needs).toMatchObject([
      {
        nodeTypes: [
          'CLIPTextEncode',
          'CheckpointLoaderSimple',
          'EmptyLatentImage',
          'KSampler',
          'SaveImage',
          'VAEDecode',
        ],
      },
      { nodeTypes: ['ETN_LoadImageBase64', 'InspyrenetRembg', 'SaveImage'], models: [] },
      {
        nodeTypes: ['ImageUpscaleWithModel', 'LoadImage', 'SaveImage', 'UpscaleModelLoader'],
        models: ['4x_NMKD-Siax_200k.pth'],
      },
    ]);
    expect(registry.get('nothing')).toBeNull();
  });

  it('reads only JSON files, and a folder without any is an empty registry', () => {
    writeFileSync(join(dir, 'README.md'), 'notes');
    expect(loadWorkflows(dir).list()).toEqual([]);
  });

  it('says that the folder is missing', () => {
    expect(() => loadWorkflows(join(dir, 'absent'))).toThrow(/cannot be read \(ENOENT\)/);
  });

  it('names every problem of every file at once', () => {
    const problems = problemsOf({
      'a.json': '{',
      'b.json': { ...minimal('Bad Name'), extra: 1 },
      'c.json': minimal('twice'),
      'd.json': minimal('twice'),
      'e.json': { ...minimal('dangling'), graph: { '1': { class_type: 'X', inputs: { a: ['9', 0] } } } },
    });
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'a.json',
      'b.json',
      'b.json',
      'd.json',
      'e.json',
    ]);
    expect(problems.at(-1)).toContain("graph.1: input 'a' links to node '9'");
  });

  it.each([
    ['a place that is not in the graph', { bind: [{ node: '9', input: 'text' }] }, /no such node/],
    ['an input its node lacks', { bind: [{ node: '1', input: 'txt' }] }, /no such input/],
    [
      'one place twice',
      {
        bind: [
          { node: '1', input: 'text' },
          { node: '1', input: 'text' },
        ],
      },
      /another input is bound/,
    ],
    ['base64 of a text', { bind: [{ node: '1', input: 'text', as: 'base64' }] }, /images only/],
    ['a name every submission uses', { name: 'priority' }, /option of every submission/],
    ['an enum without options', { type: 'enum' }, /needs options/],
    ['an alias for nothing', { type: 'enum', options: ['a'], aliases: { b: 'c' } }, /stands for no option/],
    [
      'a default out of range',
      { type: 'int', min: 1, max: 2, default: 3 },
      /default must be a whole number from 1 to 2/,
    ],
    ['a model without a folder', { type: 'model' }, /needs a modelFolder/],
    ['an optional image', { type: 'image' }, /must be required/],
    ['bounds in the wrong order', { type: 'int', min: 2, max: 1 }, /min is above max/],
    ['a default of a required input', { required: true, default: 'x' }, /required input has no default/],
    ['an unknown type', { type: 'picture' }, /inputs\.0\.type/],
  ])('refuses an input with %s', (_what, change, message) => {
    const input = {
      name: 'text',
      type: 'string',
      required: false,
      description: '',
      bind: [{ node: '1', input: 'text' }],
      ...change,
    };
    const problems = problemsOf({ 'a.json': { ...minimal('one'), inputs: [input] } });
    expect(problems.join('\n')).toMatch(message);
  });

  it('refuses the name of graphs submitted as is, and outputs that are not there', () => {
    expect(problemsOf({ 'a.json': { ...minimal('raw'), outputs: ['7'] } })).toHaveLength(2);
  });
});
