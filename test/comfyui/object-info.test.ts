import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseObjectInfo } from '../../src/comfyui/object-info.ts';
import { parseSystemStats } from '../../src/comfyui/system-stats.ts';
import { isObject, type Json } from '../../src/lib/json.ts';
import { recording } from './recordings.ts';

const calls = recording('misc_endpoints').http;

/** A node class with one required input. */
function node(input: string, spec: Json): Json {
  return { input: { required: { [input]: spec } } };
}

describe('parseObjectInfo', () => {
  it('reads the recorded node classes and which inputs take an upload', () => {
    const recorded = calls
      .filter((call) => call.path.includes('/object_info/') && isObject(call.response_body))
      .map((call) => call.response_body as Record<string, Json>);
    const info = parseObjectInfo(Object.assign({}, ...recorded));
    expect(info?.inventory.nodeTypes).toEqual([
      'EmptyImage',
      'KSampler',
      'LoadImage',
      'RigSleep',
      'SaveImage',
    ]);
    expect(info?.uploadInputs).toEqual([{ nodeType: 'LoadImage', input: 'image' }]);
    expect(info?.inventory.models).toEqual([]);
  });

  it('tells the folder of a model by the input that offers it', () => {
    const info = parseObjectInfo({
      CheckpointLoaderSimple: node('ckpt_name', [['sd15.safetensors', 'xl.ckpt'], {}]),
      LoraLoader: node('lora_name', [['ink.safetensors']]),
      DualCLIPLoader: node('clip_name2', [['t5.safetensors'], {}]),
      CLIPVisionLoader: node('clip_name', [['vit.safetensors'], {}]),
      UpscaleModelLoader: node('model_name', ['COMBO', { options: ['4x.pth'] }]),
      VAELoader: node('vae_name', [['ae.safetensors', 'pixel_space'], {}]),
      SomeLoraStack: node('first', [['None', 'ink.safetensors', 'odd.gguf'], {}]),
      KSampler: node('sampler_name', [['euler'], {}]),
    });
    expect(info?.inventory.models).toEqual([
      { kind: 'checkpoints', name: 'sd15.safetensors' },
      { kind: 'checkpoints', name: 'xl.ckpt' },
      { kind: 'clip_vision', name: 'vit.safetensors' },
      { kind: 'loras', name: 'ink.safetensors' },
      { kind: 'other', name: 'odd.gguf' },
      { kind: 'text_encoders', name: 't5.safetensors' },
      { kind: 'upscale_models', name: '4x.pth' },
      { kind: 'vae', name: 'ae.safetensors' },
    ]);
  });

  it('tells which inputs choose a model, whatever they are called, and which take a text', () => {
    const inputs = parseObjectInfo({
      Stack: {
        input: {
          required: { first: [['None', 'b.gguf', 'a.pt']], mode: [['fast', 'slow']], note: ['STRING', {}] },
          optional: {
            second: ['COMBO', { options: ['a.pt', 'None', 'b.gguf'] }],
            far: ['COMBO', { remote: {} }],
          },
          hidden: { prompt: 'PROMPT' },
        },
        output_node: true,
      },
      Empty: node('lora', [[]]),
      Folders: node('model_path', [['some folder']]),
      LoadImage: node('image', [['weights.pt'], { image_upload: true }]),
      Dynamic: node('mode', [
        'COMFY_DYNAMICCOMBO_V3',
        { options: [{ key: 'with', inputs: { required: { weights: [['c.pt']] } } }, { key: 'without' }] },
      ]),
    })?.inventory.inputs;
    expect(inputs).toEqual({
      lists: [['c.pt'], [], ['some folder'], ['None', 'a.pt', 'b.gguf']],
      offers: {
        'Dynamic.mode.weights': 0,
        'Empty.lora': 1,
        'Folders.model_path': 2,
        'Stack.first': 3,
        'Stack.second': 3,
      },
      texts: ['LoadImage.image', 'Stack.note', 'Stack.prompt'],
      endTypes: ['Stack'],
    });
  });

  it('takes an empty list for one of models only where its input is called so', () => {
    const inputs = parseObjectInfo({
      LoraLoader: node('lora_name', [[], {}]),
      Stack: node('first', [['None'], {}]),
      Picker: node('preset', [[], {}]),
      NewPicker: node('preset', ['COMBO', { options: [] }]),
    })?.inventory.inputs;
    expect(inputs?.offers).toEqual({ 'LoraLoader.lora_name': 0, 'Stack.first': 1 });
  });

  it('reads the same from equal instances, whatever order they list things in', () => {
    const names = fc.uniqueArray(fc.constantFrom('a.pt', 'b.pt', 'c.ckpt', 'None'));
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('A', 'B', 'C'), fc.tuple(names, names)), (classes) => {
        const info = (turned: boolean): ReturnType<typeof parseObjectInfo> => {
          const given = <T>(list: readonly T[]): T[] => (turned ? [...list].reverse() : [...list]);
          const nodes = Object.entries(classes).map(([name, [first, second]]): [string, Json] => [
            name,
            {
              input: {
                required: Object.fromEntries(
                  given([
                    ['x', [given(first)]],
                    ['lora_name', [given(second)]],
                  ]),
                ),
              },
            },
          ]);
          return parseObjectInfo(Object.fromEntries(given(nodes)));
        };
        expect(JSON.stringify(info(true)?.inventory)).toBe(JSON.stringify(info(false)?.inventory));
      }),
    );
  });

  it('keeps the names of nodes it cannot read, and never throws', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue(), (classes, input) => {
        const names = Object.keys(classes).filter((name) => name !== '__proto__');
        const value = Object.fromEntries(names.map((name) => [name, classes[name]])) as Record<string, Json>;
        expect(parseObjectInfo(value)?.inventory.nodeTypes).toEqual([...names].sort());
        expect(
          parseObjectInfo({ A: { input: { required: input as Json, optional: { x: [input as Json] } } } }),
        ).not.toBeNull();
      }),
    );
  });

  it('calls an answer that is not an object unreadable', () => {
    expect(parseObjectInfo([])).toBeNull();
  });
});

describe('parseSystemStats', () => {
  it('reads version, device and memory of the recorded server', () => {
    const stats = calls.find((call) => call.path === '/system_stats')?.response_body;
    expect(parseSystemStats(stats as Json)).toEqual({
      comfyuiVersion: '0.3.64',
      gpu: 'cpu',
      vramTotalBytes: 25276514304,
      vramFreeBytes: 21422592000,
      previewsEnabled: true,
    });
  });

  it('leaves open memory that cannot be, and cuts names that are none (F10)', () => {
    const device = { name: 'g'.repeat(1e6), vram_total: 1e300, vram_free: -1 };
    const stats = parseSystemStats({ system: { comfyui_version: 'v'.repeat(1e6) }, devices: [device] });
    expect(stats).toMatchObject({ vramTotalBytes: null, vramFreeBytes: null });
    expect(JSON.stringify(stats).length).toBeLessThan(1000);
  });

  it('leaves open what a server does not tell', () => {
    expect(parseSystemStats({ system: {}, devices: [] })).toEqual({
      comfyuiVersion: null,
      gpu: null,
      vramTotalBytes: null,
      vramFreeBytes: null,
      previewsEnabled: false,
    });
    expect(parseSystemStats({})).toBeNull();
  });
});
