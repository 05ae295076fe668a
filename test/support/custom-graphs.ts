/** Ten and more graphs as people export them, and what each instance of a small fleet lacks for them. */
import type { JsonObject } from '../../src/lib/json.ts';
import type { Folders } from './custom-nodes.ts';

/** Everything installed, names as Linux writes them. */
const STUDIO: Folders = {
  checkpoints: ['sd_xl_base_1.0.safetensors', 'sdxl/juggernaut.safetensors'],
  loras: ['add-detail-xl.safetensors', 'style/ink.safetensors', 'twin.safetensors'],
  vae: ['sdxl_vae.safetensors'],
  controlnet: ['canny-xl.safetensors'],
  clip_vision: ['vit-h.safetensors'],
  ipadapter: ['ip-adapter-plus_sdxl.safetensors'],
  ultralytics_bbox: ['face_yolov8m.pt', 'hand_yolov8s.pt'],
  sams: ['sam_vit_b_01ec64.pth'],
  unet_gguf: ['flux1-dev-Q8_0.gguf'],
  clip_gguf: ['clip_l.safetensors', 't5-v1_1-xxl-Q8_0.gguf'],
  diffusion_models: ['Wan2_1-T2V-14B_fp8.safetensors'],
  text_encoders: ['umt5-xxl-enc-bf16.safetensors'],
  LLM: ['Florence-2-base-PromptGen', 'Florence-2-large'],
  upscale_models: ['anime/4x-AnimeSharp.pth'],
  facerestore: ['codeformer.pth'],
};
/** The packs are there, their files mostly are not; names as Windows writes them. */
const LAPTOP: Folders = {
  ...{ checkpoints: ['sdxl\\juggernaut.safetensors', 'twin.safetensors'], loras: ['style\\ink.safetensors'] },
  ...{ vae: [], controlnet: [], clip_vision: ['vit-h.safetensors'], ipadapter: [], sams: [] },
  ...{ ultralytics_bbox: ['face_yolov8m.pt'], unet_gguf: ['flux1-dev-Q4_K_S.gguf'] },
  ...{ clip_gguf: ['clip_l.safetensors'], diffusion_models: ['umt5-xxl-enc-bf16.safetensors'] },
  ...{ text_encoders: ['Wan2_1-T2V-14B_fp8.safetensors'], LLM: ['Florence-2-base'] },
  ...{ upscale_models: ['4x-AnimeSharp.pth'], facerestore: [] },
};

export interface FleetMember {
  readonly name: 'studio' | 'laptop' | 'plain';
  readonly folders: Folders;
  /** Has the packs of custom-nodes.ts. */
  readonly packs: boolean;
}

/** The third has nothing but what ComfyUI brings, and one checkpoint. */
export const FLEET: readonly FleetMember[] = [
  { name: 'studio', folders: STUDIO, packs: true },
  { name: 'laptop', folders: LAPTOP, packs: true },
  {
    name: 'plain',
    folders: { checkpoints: ['sd_xl_base_1.0.safetensors'], loras: [], vae: [], upscale_models: [] },
    packs: false,
  },
];

export interface GraphCase {
  readonly title: string;
  readonly graph: Record<string, { class_type: string; inputs: JsonObject }>;
  /** Models each lacks; node types are told from the packs. */
  readonly missing: Readonly<Record<FleetMember['name'], readonly string[]>>;
}

type Node = [class_type: string, inputs: JsonObject];

/** Nodes 1, 2, ..., and what shows the first output of the first and of the last one. */
function graphOf(...nodes: Node[]): GraphCase['graph'] {
  const shown: Node = [
    'ShowAnything',
    { anything: [String(nodes.length), 0], more: ['1', 0], note: 'made with x.safetensors' },
  ];
  return Object.fromEntries(
    [...nodes, shown].map(([class_type, inputs], index) => [String(index + 1), { class_type, inputs }]),
  );
}

const checkpoint = (ckpt_name: string): Node => ['CheckpointLoaderSimple', { ckpt_name }];

export const GRAPHS: readonly GraphCase[] = [
  {
    title: 'LoRAs in objects of inputs made up at run time, some switched off (Power Lora Loader)',
    graph: graphOf(checkpoint('sd_xl_base_1.0.safetensors'), [
      'Power Lora Loader (rgthree)',
      {
        PowerLoraLoaderHeaderWidget: { type: 'PowerLoraLoaderHeaderWidget' },
        lora_1: { on: true, lora: 'style/ink.safetensors', strength: 0.8 },
        lora_2: { on: false, lora: 'gone.safetensors', strength: 1 },
        lora_3: { on: true, lora: 'None', strength: 1 },
        '➕ Add Lora': '',
        ...{ model: ['1', 0], clip: ['1', 1] },
      },
    ]),
    missing: {
      studio: [],
      laptop: ['sd_xl_base_1.0.safetensors', 'style/ink.safetensors'],
      plain: ['style/ink.safetensors'],
    },
  },
  {
    title: 'three kinds of models in one node, one baked in and one none (Efficient Loader)',
    graph: graphOf([
      'Efficient Loader',
      {
        ckpt_name: 'sdxl/juggernaut.safetensors',
        vae_name: 'Baked VAE',
        lora_name: 'None',
        positive: 'a cat, embedding:easynegative.pt, <lora:gone.safetensors:1>',
      },
    ]),
    missing: {
      studio: [],
      laptop: ['sdxl/juggernaut.safetensors'],
      plain: ['sdxl/juggernaut.safetensors'],
    },
  },
  {
    title: 'LoRAs in numbered inputs (LoRA Stacker)',
    graph: graphOf([
      'LoRA Stacker',
      {
        input_mode: 'simple',
        lora_name_1: 'style\\ink.safetensors',
        lora_name_2: 'add-detail-xl.safetensors',
        lora_name_3: 'None',
      },
    ]),
    missing: {
      studio: ['style\\ink.safetensors'],
      laptop: ['add-detail-xl.safetensors'],
      plain: ['add-detail-xl.safetensors', 'style\\ink.safetensors'],
    },
  },
  {
    title: 'names with a folder that only the input has, and a choice that is no file (Impact Pack)',
    graph: graphOf(
      ['UltralyticsDetectorProvider', { model_name: 'bbox/hand_yolov8s.pt' }],
      ['SAMLoader', { model_name: 'ESAM', device_mode: 'AUTO' }],
    ),
    missing: { studio: [], laptop: ['bbox/hand_yolov8s.pt'], plain: ['bbox/hand_yolov8s.pt'] },
  },
  {
    title: 'an adapter, its image encoder, and a preset (IPAdapter)',
    graph: graphOf(
      ['CLIPVisionLoader', { clip_name: 'vit-h.safetensors' }],
      ['IPAdapterUnifiedLoader', { preset: 'PLUS (high strength)' }],
      ['IPAdapterModelLoader', { ipadapter_file: 'ip-adapter-plus_sdxl.safetensors' }],
    ),
    missing: {
      studio: [],
      laptop: ['ip-adapter-plus_sdxl.safetensors'],
      plain: ['ip-adapter-plus_sdxl.safetensors', 'vit-h.safetensors'],
    },
  },
  {
    title: 'a ControlNet, and detectors that every instance with the node fetches by itself (ControlNet Aux)',
    graph: graphOf(
      ['ControlNetLoader', { control_net_name: 'canny-xl.safetensors' }],
      [
        'DWPreprocessor',
        { bbox_detector: 'yolox_l.onnx', pose_estimator: 'dw-ll_ucoco_384_bs5.torchscript.pt' },
      ],
    ),
    missing: {
      studio: [],
      laptop: ['canny-xl.safetensors'],
      plain: ['canny-xl.safetensors', 'dw-ll_ucoco_384_bs5.torchscript.pt', 'yolox_l.onnx'],
    },
  },
  {
    title: 'other endings in other folders (GGUF)',
    graph: graphOf(
      ['UnetLoaderGGUF', { unet_name: 'flux1-dev-Q8_0.gguf' }],
      [
        'DualCLIPLoaderGGUF',
        { clip_name1: 'clip_l.safetensors', clip_name2: 't5-v1_1-xxl-Q8_0.gguf', type: 'flux' },
      ],
    ),
    missing: {
      studio: [],
      laptop: ['flux1-dev-Q8_0.gguf', 't5-v1_1-xxl-Q8_0.gguf'],
      plain: ['clip_l.safetensors', 'flux1-dev-Q8_0.gguf', 't5-v1_1-xxl-Q8_0.gguf'],
    },
  },
  {
    title: 'files in the wrong folder, and choices of the newer kind (WanVideo)',
    graph: graphOf(
      ['LoadWanVideoT5TextEncoder', { model_name: 'umt5-xxl-enc-bf16.safetensors' }],
      ['WanVideoModelLoader', { model: 'Wan2_1-T2V-14B_fp8.safetensors', base_precision: 'bf16' }],
    ),
    missing: {
      studio: [],
      laptop: ['Wan2_1-T2V-14B_fp8.safetensors', 'umt5-xxl-enc-bf16.safetensors'],
      plain: ['Wan2_1-T2V-14B_fp8.safetensors', 'umt5-xxl-enc-bf16.safetensors'],
    },
  },
  {
    title: 'a model that is a folder, without any ending (Florence2)',
    graph: graphOf(['Florence2ModelLoader', { model: 'Florence-2-large', precision: 'fp16' }]),
    // a node that an instance lacks says nothing of folders
    missing: { studio: [], laptop: ['Florence-2-large'], plain: [] },
  },
  {
    title: 'an input with a name of its own, behind a reroute and beside texts that look like files',
    graph: graphOf(
      ['PrimitiveString', { value: 'notes-about-a-model.pth' }],
      ['画像拡大モデル', { モデル: 'anime/4x-AnimeSharp.pth' }],
      ['Reroute (rgthree)', { '': ['2', 0] }],
    ),
    missing: { studio: [], laptop: ['anime/4x-AnimeSharp.pth'], plain: ['anime/4x-AnimeSharp.pth'] },
  },
  {
    title: 'a LoRA whose name another instance has as a checkpoint',
    graph: graphOf(checkpoint('sd_xl_base_1.0.safetensors'), [
      'LoraLoader',
      {
        ...{ lora_name: 'twin.safetensors', strength_model: 1, strength_clip: 1 },
        ...{ model: ['1', 0], clip: ['1', 1] },
      },
    ]),
    missing: {
      studio: [],
      laptop: ['sd_xl_base_1.0.safetensors', 'twin.safetensors'],
      plain: ['twin.safetensors'],
    },
  },
  {
    title: 'a choice that only one instance has beside "none"',
    graph: graphOf(['FaceRestoreLoader', { restorer: 'codeformer.pth' }]),
    missing: { studio: [], laptop: ['codeformer.pth'], plain: ['codeformer.pth'] },
  },
  {
    title: 'stacked LoRAs as a list in one input',
    graph: graphOf([
      'Lora Manager Stack',
      {
        text: '<lora:gone.safetensors:1>',
        loras: {
          __value__: [
            { name: 'style/ink.safetensors', strength: 1, active: true },
            { name: 'gone.safetensors', strength: 1, active: false },
          ],
        },
      },
    ]),
    missing: { studio: [], laptop: ['style/ink.safetensors'], plain: ['style/ink.safetensors'] },
  },
];

/** What the simulator does not check, and what cannot be told before an instance was read. */
export const UNCHECKED: readonly GraphCase[] = [
  {
    title: 'loaders that nothing takes from',
    graph: {
      ...graphOf(checkpoint('sd_xl_base_1.0.safetensors')),
      '9': {
        class_type: 'LoraLoader',
        inputs: { lora_name: 'gone.safetensors', model: ['10', 0], clip: ['10', 1] },
      },
      '10': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'gone.ckpt' } },
    },
    missing: { studio: [], laptop: ['sd_xl_base_1.0.safetensors'], plain: [] },
  },
  {
    title: 'several choices of one list',
    graph: graphOf([
      'MergeModels',
      {
        chosen: { __value__: ['sd_xl_base_1.0.safetensors', 'sdxl/juggernaut.safetensors'] },
        ratio: 1,
      },
    ]),
    missing: {
      studio: [],
      laptop: ['sd_xl_base_1.0.safetensors', 'sdxl/juggernaut.safetensors'],
      plain: ['sdxl/juggernaut.safetensors'],
    },
  },
  {
    title: 'choices that the instance does not tell',
    graph: graphOf(['RemoteLoader', { asset: 'twin.safetensors' }]),
    missing: { studio: [], laptop: [], plain: ['twin.safetensors'] },
  },
];
