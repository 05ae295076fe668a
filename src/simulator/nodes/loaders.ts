/** Loaders: they name a model file, whoever uses the model pays for loading it. */
import { type NodeClass, str } from '../node-class.ts';
import { PythonError } from '../python-error.ts';

export interface Model {
  readonly kind: 'model';
  readonly name: string;
}
export function modelOf(value: unknown): string {
  const model = value as Model | undefined;
  if (model?.kind === 'model') return model.name;
  throw new PythonError('AttributeError', "'NoneType' object has no attribute 'model'");
}

const CHECKPOINT_LOADER: NodeClass = {
  name: 'CheckpointLoaderSimple',
  displayName: 'Load Checkpoint',
  category: 'loaders',
  description: 'Loads a diffusion model checkpoint, diffusion models are used to denoise latents.',
  required: {
    ckpt_name: [
      (world) => world.models('checkpoints'),
      { tooltip: 'The name of the checkpoint (model) to load.' },
    ],
  },
  outputs: ['MODEL', 'CLIP', 'VAE'],
  run: ({ inputs }) => {
    const model: Model = { kind: 'model', name: str(inputs.ckpt_name) };
    return { outputs: [model, model, model] };
  },
};

const VAE_LOADER: NodeClass = {
  name: 'VAELoader',
  displayName: 'Load VAE',
  category: 'loaders',
  required: { vae_name: [(world) => world.models('vae')] },
  outputs: ['VAE'],
  run: ({ inputs }) => ({ outputs: [{ kind: 'model', name: str(inputs.vae_name) }] }),
};

const STRENGTH = { default: 1, min: -100, max: 100, step: 0.01 };
const LORA_LOADER: NodeClass = {
  name: 'LoraLoader',
  displayName: 'Load LoRA',
  category: 'loaders',
  required: {
    model: ['MODEL', { tooltip: 'The diffusion model the LoRA will be applied to.' }],
    clip: ['CLIP', { tooltip: 'The CLIP model the LoRA will be applied to.' }],
    lora_name: [(world) => world.models('loras'), { tooltip: 'The name of the LoRA.' }],
    strength_model: ['FLOAT', STRENGTH],
    strength_clip: ['FLOAT', STRENGTH],
  },
  outputs: ['MODEL', 'CLIP'],
  run: ({ inputs }) => ({ outputs: [inputs.model, inputs.clip] }),
};

const UPSCALE_LOADER: NodeClass = {
  name: 'UpscaleModelLoader',
  displayName: 'Load Upscale Model',
  category: 'loaders',
  pythonModule: 'comfy_extras.nodes_upscale_model',
  required: { model_name: [(world) => world.models('upscale_models')] },
  outputs: ['UPSCALE_MODEL'],
  run: ({ inputs }) => ({ outputs: [{ kind: 'model', name: str(inputs.model_name) } satisfies Model] }),
};

export const LOADER_NODES: readonly NodeClass[] = [
  CHECKPOINT_LOADER,
  VAE_LOADER,
  LORA_LOADER,
  UPSCALE_LOADER,
];
