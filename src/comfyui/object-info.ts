/**
 * GET /object_info: which nodes an instance has, which model files their choices offer, and which inputs take an
 * uploaded file. The folder of a model is told by the name of the input that offers it.
 */
import { type Inventory, isModelFileName, type ModelFile } from '../domain/capabilities.ts';
import { isObject, type Json } from '../lib/json.ts';
import { textListField } from './fields.ts';

export interface ObjectInfo {
  readonly inventory: Inventory;
  readonly uploadInputs: readonly UploadInput[];
}

/** An input that names a file of the instance's input folder, offered with an upload button in ComfyUI's own page. */
export interface UploadInput {
  readonly nodeType: string;
  readonly input: string;
}

/** By node and input where the input alone is not telling. */
const KIND_OF_NODE_INPUT: Readonly<Record<string, string>> = {
  'UpscaleModelLoader.model_name': 'upscale_models',
  'CLIPVisionLoader.clip_name': 'clip_vision',
  'ModelPatchLoader.name': 'model_patches',
  'LatentUpscaleModelLoader.model_name': 'latent_upscale_models',
};
const KIND_OF_INPUT: Readonly<Record<string, string>> = {
  ckpt_name: 'checkpoints',
  lora_name: 'loras',
  vae_name: 'vae',
  control_net_name: 'controlnet',
  unet_name: 'diffusion_models',
  clip_name: 'text_encoders',
  style_model_name: 'style_models',
  gligen_name: 'gligen',
  hypernetwork_name: 'hypernetworks',
  photomaker_model_name: 'photomaker',
  audio_encoder_name: 'audio_encoders',
  ipadapter_file: 'ipadapter',
};
const UPLOAD_MARKS = ['image_upload', 'video_upload', 'audio_upload', 'file_upload', 'animated_image_upload'];

/** Null when the answer is not an object; a node that cannot be read keeps its name and offers nothing. */
export function parseObjectInfo(value: Json): ObjectInfo | null {
  if (!isObject(value)) return null;
  const models: ModelFile[] = [];
  const uploadInputs: UploadInput[] = [];
  for (const [nodeType, node] of Object.entries(value)) {
    for (const [input, spec] of inputsOf(node)) {
      const options = isObject(spec[1]) ? spec[1] : {};
      if (UPLOAD_MARKS.some((mark) => options[mark] === true)) uploadInputs.push({ nodeType, input });
      else models.push(...modelsOf(nodeType, input, spec, options));
    }
  }
  return { inventory: { nodeTypes: Object.keys(value).sort(), models: distinct(models) }, uploadInputs };
}

/** Inputs of one node with their specs, which are lists of a type (or its choices) and options. */
function inputsOf(node: unknown): [string, unknown[]][] {
  const groups = isObject(node) && isObject(node.input) ? [node.input.required, node.input.optional] : [];
  return groups
    .filter(isObject)
    .flatMap((group) => Object.entries(group))
    .filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]));
}

function modelsOf(
  nodeType: string,
  input: string,
  spec: readonly unknown[],
  options: Record<string, unknown>,
): ModelFile[] {
  // the newer form is ["COMBO", {options: [...]}]
  const choices = Array.isArray(spec[0]) ? spec[0] : textListField(options, 'options');
  const kind = kindOf(nodeType, input);
  return choices
    .filter((choice): choice is string => typeof choice === 'string' && isModelFileName(choice))
    .map((name) => ({ kind, name }));
}

function kindOf(nodeType: string, input: string): string {
  const known = KIND_OF_NODE_INPUT[`${nodeType}.${input}`] ?? KIND_OF_INPUT[input.replace(/_?\d+$/, '')];
  return known ?? 'other';
}

/** Each (kind, name) once, sorted; `other` only for files that no known kind has. */
function distinct(models: readonly ModelFile[]): ModelFile[] {
  const sorted = [...new Map(models.map((model) => [`${model.kind}/${model.name}`, model])).values()].sort(
    (a, b) => compare(a.kind, b.kind) || compare(a.name, b.name),
  );
  const known = new Set(sorted.filter((model) => model.kind !== 'other').map((model) => model.name));
  return sorted.filter((model) => model.kind !== 'other' || !known.has(model.name));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
