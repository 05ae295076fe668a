/** Jobs of several models, some asked for much more than others. */
import type { JsonObject } from '../../src/lib/json.ts';

export const MODELS = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${name}.safetensors`);
const WEIGHTS = MODELS.map((_, n) => 1 / (n + 1));
const ALL = WEIGHTS.reduce((sum, weight) => sum + weight, 0);

/** The share of jobs whose model is that of the job before, for whoever sends them without looking. */
export const BLIND_LUCK = WEIGHTS.reduce((sum, weight) => sum + (weight / ALL) ** 2, 0);

/** Of a number in [0, 1); the first models are asked for most (Zipf). */
export function modelFor(random: number): string {
  let left = random * ALL;
  const at = WEIGHTS.findIndex((weight) => {
    left -= weight;
    return left < 0;
  });
  return MODELS[at] ?? (MODELS[0] as string);
}

export function sampled(model: string, seed: number): JsonObject {
  const sampler = { seed, steps: 10, cfg: 1, sampler_name: 'euler', scheduler: 'normal', denoise: 1 };
  const links = { model: ['1', 0], positive: ['2', 0], negative: ['2', 0], latent_image: ['3', 0] };
  return {
    '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: model } },
    '2': { class_type: 'CLIPTextEncode', inputs: { text: 'a teapot', clip: ['1', 1] } },
    '3': { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } },
    '4': { class_type: 'KSampler', inputs: { ...sampler, ...links } },
    '5': { class_type: 'VAEDecode', inputs: { samples: ['4', 0], vae: ['1', 2] } },
    '6': { class_type: 'SaveImage', inputs: { images: ['5', 0], filename_prefix: 'warm' } },
  };
}
