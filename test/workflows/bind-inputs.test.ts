import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { present } from '../../src/lib/assert.ts';
import type { Json, JsonObject } from '../../src/lib/json.ts';
import { type BindTools, type BoundInputs, bindInputs } from '../../src/workflows/bind-inputs.ts';
import { MAX_SEED } from '../../src/workflows/definition.ts';
import { loadWorkflows } from '../../src/workflows/registry.ts';

const registry = loadWorkflows(new URL('../../workflows', import.meta.url).pathname);
const workflow = (name: string) => present(registry.get(name), name);
const tools: BindTools = { random: () => 0.5, firstModel: () => 'first.safetensors' };

const generate = (values: JsonObject, with_: Partial<BindTools> = {}): BoundInputs =>
  bindInputs(workflow('generateImage'), values, { ...tools, ...with_ });

function messageFor(values: JsonObject): string {
  const bound = generate({ prompt: 'a cat', ...values });
  return bound.ok
    ? 'accepted'
    : bound.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`).join('; ');
}

describe('bindInputs', () => {
  it('writes values and defaults into the graph and reports what was taken', () => {
    const bound = generate({
      prompt: 'a cat',
      width: 768,
      sampler: 'euler_a',
      seed: 7,
      negativePrompt: null,
    });
    expect(bound).toMatchObject({
      ok: true,
      graph: {
        '3': {
          inputs: {
            seed: 7,
            steps: 20,
            cfg: 7,
            sampler_name: 'euler_ancestral',
            scheduler: 'normal',
            model: ['4', 0],
          },
        },
        '4': { inputs: { ckpt_name: 'first.safetensors' } },
        '5': { inputs: { width: 768, height: 512, batch_size: 1 } },
        '6': { inputs: { text: 'a cat' } },
        '7': { inputs: { text: '' } },
      },
      inputs: {
        prompt: 'a cat',
        sampler: 'euler_ancestral',
        seed: 7,
        model: 'first.safetensors',
        height: 512,
      },
    });
  });

  it('draws a seed when none is sent, and leaves the workflow as it was', () => {
    const before = JSON.stringify(workflow('generateImage'));
    expect(generate({ prompt: 'x' })).toMatchObject({ inputs: { seed: Math.floor(MAX_SEED / 2) } });
    expect(generate({ prompt: 'x' }, { random: () => 0 })).toMatchObject({ inputs: { seed: 0 } });
    expect(JSON.stringify(workflow('generateImage'))).toBe(before);
  });

  it("takes the file's own model while the fleet has none", () => {
    expect(generate({ prompt: 'x' }, { firstModel: () => null })).toMatchObject({
      inputs: { model: 'v1-5-pruned-emaonly.safetensors' },
    });
  });

  it('hands an image to the node that takes base64 and to the one that takes a name', () => {
    const image = { $file: { sha256: 'ab', mimeType: 'image/png' } };
    expect(bindInputs(workflow('removeBackground'), { image }, tools)).toMatchObject({
      graph: { '1': { inputs: { image: { $file: { sha256: 'ab', mimeType: 'image/png', as: 'base64' } } } } },
      inputs: { image },
    });
    expect(bindInputs(workflow('upscaleImage'), { image }, tools)).toMatchObject({
      graph: { '1': { inputs: { image: { $file: { sha256: 'ab', mimeType: 'image/png', as: 'name' } } } } },
    });
  });

  it.each<[JsonObject, string]>([
    [{ prompt: '' }, 'prompt must be a text of 1 to 5000 characters'],
    [{ prompt: 'x'.repeat(5_001) }, 'prompt must be a text of 1 to 5000 characters'],
    [{ prompt: '😀'.repeat(5_000) }, 'accepted'],
    [{ prompt: '😀'.repeat(5_001) }, 'prompt must be a text of 1 to 5000 characters'],
    [{ prompt: null }, 'prompt is required'],
    [{ prompt: 5 }, 'prompt must be a text of 1 to 5000 characters'],
    [{ width: 63 }, 'width must be a whole number from 64 to 2048'],
    [{ width: 2049 }, 'width must be a whole number from 64 to 2048'],
    [{ width: 64.5 }, 'width must be a whole number from 64 to 2048'],
    [{ width: '512' }, 'width must be a whole number from 64 to 2048'],
    [{ width: 64, height: 2048 }, 'accepted'],
    [{ steps: 0 }, 'steps must be a whole number from 1 to 150'],
    [{ cfgScale: 30.1 }, 'cfgScale must be a number from 1 to 30'],
    [{ cfgScale: 1.5 }, 'accepted'],
    [{ seed: -1 }, `seed must be a whole number from 0 to ${MAX_SEED}`],
    [{ seed: 2 ** 53 }, `seed must be a whole number from 0 to ${MAX_SEED}`],
    [{ sampler: 'toString' }, 'sampler must be one of euler, '],
    [{ model: '' }, 'model must be the name of a model file'],
  ])('answers %j with a sentence of what is allowed', (values, message) => {
    expect(messageFor(values)).toContain(message);
  });

  it('reports unknown, missing and wrong inputs together', () => {
    const bound = generate({ promt: 'typo', width: true, __proto__x: 1 });
    expect(bound).toMatchObject({ ok: false });
    expect(!bound.ok && bound.issues.map((issue) => issue.path[0]).sort()).toEqual([
      '__proto__x',
      'prompt',
      'promt',
      'width',
    ]);
  });

  it('never throws and never lets a value through that the node would not take', () => {
    const values = fc.dictionary(
      fc.constantFrom('prompt', 'width', 'steps', 'cfgScale', 'seed', 'sampler', 'image', '__proto__'),
      fc.oneof(fc.jsonValue(), fc.integer(), fc.double()) as fc.Arbitrary<Json>,
    );
    fc.assert(
      fc.property(values, (sent) => {
        const bound = generate(sent);
        if (!bound.ok) return bound.issues.length > 0;
        const width = bound.graph['5']?.inputs.width;
        return typeof width === 'number' && width >= 64 && width <= 2048 && Number.isInteger(width);
      }),
    );
  });
});
