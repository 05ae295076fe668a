/**
 * How model files are told: by how their names end, and by what the inputs that take them are called. Folders are
 * ComfyUI's own (checkpoints, loras, ...), as GET /models lists them.
 */

const MODEL_FILE = /\.(safetensors|sft|ckpt|pt2?|pth|bin|gguf|onnx|pkl|engine)$/i;
const LONGEST_NAME = 260;

/** Could be the name of anything in a list: one line, not too long. */
export function isName(text: string): boolean {
  return text.length <= LONGEST_NAME && !/[\r\n]/.test(text);
}

/** True for a single-line name that ends like a model file. */
export function isModelFileName(name: string): boolean {
  return isName(name) && MODEL_FILE.test(name);
}

const NO_MODEL =
  /^\W*(none|null|undefined|no|off|disabled?|default|auto(matic)?|baked vae|pixel_space)?\W*$/i;

/** What lists of models offer beside models: "None", "Baked VAE", "". */
export function isNoModel(choice: string): boolean {
  return NO_MODEL.test(choice);
}

/** By class and input where the input alone is not telling. */
const FOLDER_OF_PLACE: Readonly<Record<string, string>> = {
  'UpscaleModelLoader.model_name': 'upscale_models',
  'CLIPVisionLoader.clip_name': 'clip_vision',
  'ModelPatchLoader.name': 'model_patches',
  'LatentUpscaleModelLoader.model_name': 'latent_upscale_models',
  'DiffusersLoader.model_path': 'diffusers',
  'WanVideoModelLoader.model': 'diffusion_models',
  'UltralyticsDetectorProvider.model_name': 'ultralytics',
  'SAMLoader.model_name': 'sams',
  'Florence2ModelLoader.model': 'LLM',
};

const FOLDER_OF_INPUT: Readonly<Record<string, string>> = {
  ckpt_name: 'checkpoints',
  ckpt: 'checkpoints',
  checkpoint: 'checkpoints',
  base_ckpt_name: 'checkpoints',
  refiner_ckpt_name: 'checkpoints',
  lora_name: 'loras',
  lora: 'loras',
  vae_name: 'vae',
  vae: 'vae',
  control_net_name: 'controlnet',
  controlnet: 'controlnet',
  unet_name: 'diffusion_models',
  unet: 'diffusion_models',
  clip_name: 'text_encoders',
  style_model_name: 'style_models',
  gligen_name: 'gligen',
  hypernetwork_name: 'hypernetworks',
  photomaker_model_name: 'photomaker',
  audio_encoder_name: 'audio_encoders',
  ipadapter_file: 'ipadapter',
};

/** An input of a node class, written `class.input`. */
export type Place = string;

export function placeOf(nodeType: string, input: string): Place {
  return `${nodeType}.${input}`;
}

/** The folder whose files the input takes, as far as its name tells; numbers at its end do not matter. */
export function folderOf(place: Place): string | null {
  const own = Object.hasOwn(FOLDER_OF_PLACE, place) ? FOLDER_OF_PLACE[place] : undefined;
  const input = place.slice(place.lastIndexOf('.') + 1).replace(/_?\d+$/, '');
  const usual = Object.hasOwn(FOLDER_OF_INPUT, input) ? FOLDER_OF_INPUT[input] : undefined;
  return own ?? usual ?? null;
}

const MODEL_INPUT =
  /(^|_)(model|checkpoint|ckpt|lora|vae|unet|clip|controlnet|control_net|upscaler|embedding|detector)(_?(name|path|file|id))?_?\d*$/i;

/** The input is called as if it took a model, whatever its choices look like: folders of models have no ending. */
export function soundsLikeModel(place: Place): boolean {
  return folderOf(place) !== null || MODEL_INPUT.test(place.slice(place.lastIndexOf('.') + 1));
}
