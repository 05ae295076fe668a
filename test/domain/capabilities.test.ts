import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { missingFrom, needsKey, needsOf } from '../../src/domain/capabilities.ts';
import type { Graph } from '../../src/domain/graph.ts';

const graph: Graph = {
  '4': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'sd15.safetensors' } },
  '6': { class_type: 'CLIPTextEncode', inputs: { text: 'a picture of model.safetensors', clip: ['4', 1] } },
  '7': { class_type: 'CLIPTextEncode', inputs: { text: 'bad', clip: ['4', 1] } },
  '8': {
    class_type: 'LoraStack',
    inputs: { lora_1: { on: true, lora: 'style/ink.safetensors', strength: 1 } },
  },
  '9': { class_type: 'SaveImage', inputs: { filename_prefix: 'x.ckpt', images: ['8', 0] } },
};

describe('needsOf', () => {
  it('names every node type once and every model file, but no prompt text or file prefix', () => {
    expect(needsOf(graph)).toEqual({
      nodeTypes: ['CLIPTextEncode', 'CheckpointLoaderSimple', 'LoraStack', 'SaveImage'],
      models: ['sd15.safetensors', 'style/ink.safetensors'],
      uses: [
        { input: 'CheckpointLoaderSimple.ckpt_name', model: 'sd15.safetensors' },
        { input: 'LoraStack.lora', model: 'style/ink.safetensors' },
      ],
    });
  });

  it('does not take a text of several lines for a file', () => {
    const prompt: Graph = { '1': { class_type: 'Custom', inputs: { words: 'first\nsecond.ckpt' } } };
    expect(needsOf(prompt).models).toEqual([]);
  });
});

describe('needsKey', () => {
  it('depends on the set of needs, not on their order', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string()), fc.uniqueArray(fc.string()), (nodeTypes, models) => {
        const key = needsKey({ nodeTypes, models });
        expect(needsKey({ nodeTypes: [...nodeTypes].reverse(), models: [...models].reverse() })).toBe(key);
        expect(key).toMatch(/^[0-9a-f]{16}$/);
      }),
    );
  });

  it('tells a model from a node type of the same name', () => {
    expect(needsKey({ nodeTypes: ['a'], models: [] })).not.toBe(needsKey({ nodeTypes: [], models: ['a'] }));
  });
});

describe('missingFrom', () => {
  it('lists what the instance lacks, comparing names letter by letter', () => {
    const inventory = {
      nodeTypes: ['CheckpointLoaderSimple', 'CLIPTextEncode', 'SaveImage'],
      models: [{ kind: 'checkpoints', name: 'SD15.safetensors' }],
    };
    expect(missingFrom(needsOf(graph), inventory)).toEqual({
      nodeTypes: ['LoraStack'],
      models: ['sd15.safetensors', 'style/ink.safetensors'],
    });
  });

  it('finds nothing missing while the inventory is not read yet', () => {
    expect(missingFrom(needsOf(graph), null)).toEqual({ nodeTypes: [], models: [] });
  });
});
