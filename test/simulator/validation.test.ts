import { describe, expect, test } from 'vitest';
import type { NodeWorld } from '../../src/simulator/node-class.ts';
import { nodeClasses } from '../../src/simulator/node-classes.ts';
import { resolveOptions } from '../../src/simulator/options.ts';
import type { JsonObject } from '../../src/simulator/python-json.ts';
import { validatePrompt } from '../../src/simulator/validation.ts';

const classes = nodeClasses(resolveOptions({}));
const world: NodeWorld = {
  models: (folder) =>
    folder === 'upscale_models'
      ? Array.from({ length: 21 }, (_, index) => `${index}.pth`)
      : ['one.safetensors'],
  inputFiles: async () => [],
  inputPath: async (name) => (name === 'there.png' ? '/input/there.png' : undefined),
};
const validate = (prompt: JsonObject, targets?: string[]) => validatePrompt(prompt, targets, classes, world);
const empty = (width: unknown = 16): JsonObject =>
  ({ class_type: 'EmptyImage', inputs: { width, height: 16, batch_size: 1, color: 0 } }) as JsonObject;
const preview = (from: [string, number]): JsonObject => ({
  class_type: 'PreviewImage',
  inputs: { images: from },
});

async function typesOf(prompt: JsonObject): Promise<string[]> {
  const { nodeErrors } = await validate(prompt);
  return Object.values(nodeErrors).flatMap(({ errors }) => errors.map(({ type }) => type));
}

describe('a value of the wrong kind', () => {
  test.each([
    ['text that is no number', 'wide', 'invalid_input_type'],
    ['null', null, 'invalid_input_type'],
    ['too small', 0, 'value_smaller_than_min'],
    ['too big', 99_999, 'value_bigger_than_max'],
  ])('is refused: %s', async (_, width, type) => {
    expect(await typesOf({ '1': empty(width), '2': preview(['1', 0]) })).toEqual([type]);
  });
});

test('numbers in texts and fractions are coerced in place', async () => {
  const prompt = { '1': empty('32'), '2': preview(['1', 0]) };
  expect((await validate(prompt)).ok).toBe(true);
  expect(prompt['1'].inputs).toMatchObject({ width: 32 });
});

test('a model that is not there names the choices, unless they are more than twenty', async () => {
  const loader = { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'missing' } };
  const decode = { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['1', 2] } };
  const latent = { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } };
  const few = await validate({ '1': loader, '2': decode, '3': latent, '4': preview(['2', 0]) });
  expect(few.nodeErrors['1']?.errors[0]).toMatchObject({
    type: 'value_not_in_list',
    details: "ckpt_name: 'missing' not in ['one.safetensors']",
  });
  const upscale = {
    class_type: 'ImageUpscaleWithModel',
    inputs: { upscale_model: ['1', 0], image: ['3', 0] },
  };
  const many = { class_type: 'UpscaleModelLoader', inputs: { model_name: 'missing' } };
  const long = await validate({ '1': many, '2': upscale, '3': empty(), '4': preview(['2', 0]) });
  expect(long.nodeErrors['1']?.errors[0]).toMatchObject({
    details: "model_name: 'missing' not in (list of length 21)",
    extra_info: { input_config: null },
  });
});

test('one valid output is enough to be accepted, with the errors of the others', async () => {
  const result = await validate({
    '1': empty(),
    '2': preview(['1', 0]),
    '3': { class_type: 'SaveImage', inputs: { images: ['1', 0] } },
  });
  expect(result).toMatchObject({ ok: true, outputs: ['2'] });
  expect(Object.keys(result.nodeErrors)).toEqual(['3']);
});

test('a cycle is refused without saying where', async () => {
  const invert = (from: string): JsonObject => ({ class_type: 'ImageInvert', inputs: { image: [from, 0] } });
  const result = await validate({ '1': invert('2'), '2': invert('1'), '3': preview(['2', 0]) });
  expect(result).toMatchObject({ ok: false, nodeErrors: {} });
});

test('an error is listed once with every output that depends on it', async () => {
  const result = await validate({ '1': empty(0), '2': preview(['1', 0]), '3': preview(['1', 0]) });
  expect(result.nodeErrors['1']?.dependent_outputs).toEqual(['2', '3']);
});

test('an input file must exist', async () => {
  const load = (image: string): JsonObject => ({ class_type: 'LoadImage', inputs: { image } });
  expect(await typesOf({ '1': load('gone.png'), '2': preview(['1', 0]) })).toEqual([
    'custom_validation_failed',
  ]);
  expect(await typesOf({ '1': load('there.png'), '2': preview(['1', 0]) })).toEqual([]);
});

test('only the outputs asked for run', async () => {
  const prompt = { '1': empty(), '2': preview(['1', 0]), '3': preview(['1', 0]) };
  expect(await validate(prompt, ['3'])).toMatchObject({ ok: true, outputs: ['3'] });
  expect(await validate(prompt, [])).toMatchObject({ ok: false, error: { type: 'prompt_no_outputs' } });
});

test('an undeclared input is not looked at', async () => {
  const extra = empty();
  extra.inputs = { ...(extra.inputs as JsonObject), bogus: ['99', 0] };
  expect((await validate({ '1': extra, '2': preview(['1', 0]) })).ok).toBe(true);
});
