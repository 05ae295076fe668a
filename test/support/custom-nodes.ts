/**
 * Loaders of custom nodes as people have them, for the simulator: inputs nested, renamed, made up at run time, or of the
 * newer kinds. Written after how the real ones describe themselves; what they do does not matter here.
 */
import type { Inputs, NodeClass } from '../../src/simulator/node-class.ts';

export type Folders = Readonly<Record<string, readonly string[]>>;

const STRING = ['STRING', { default: '' }] as const;
const FLOAT = ['FLOAT', { default: 1, min: -10, max: 10 }] as const;

function loader(name: string, outputs: readonly string[], required: Inputs, optional?: Inputs): NodeClass {
  return {
    name,
    category: 'custom',
    pythonModule: 'custom_nodes.pack',
    required,
    ...(optional && { optional }),
    outputs,
    run: () => ({ outputs: outputs.map(() => null) }),
  };
}

/** Ends every graph: shows whatever it is given. */
export const SHOW: NodeClass = {
  name: 'ShowAnything',
  category: 'custom',
  required: { anything: ['*'] },
  optional: { more: ['*'], note: STRING },
  outputs: [],
  isOutput: true,
  run: () => ({ ui: { text: ['shown'] } }),
};

/** The packs, on an instance with these files. */
export function customNodes(folders: Folders): NodeClass[] {
  const files = (folder: string): readonly string[] => folders[folder] ?? [];
  const loraSlots = Object.fromEntries(
    [1, 2, 3].map((slot) => [`lora_name_${slot}`, [['None', ...files('loras')]] as const]),
  );
  return [
    loader('Power Lora Loader (rgthree)', ['MODEL', 'CLIP'], {}, { model: ['MODEL'], clip: ['CLIP'] }),
    loader('Efficient Loader', ['MODEL', 'VAE'], {
      ckpt_name: [files('checkpoints')],
      vae_name: [['Baked VAE', ...files('vae')]],
      lora_name: [['None', ...files('loras')]],
      positive: STRING,
    }),
    loader('LoRA Stacker', ['LORA_STACK'], { input_mode: [['simple', 'advanced']], ...loraSlots }),
    loader('UltralyticsDetectorProvider', ['BBOX_DETECTOR'], {
      model_name: [[...files('ultralytics_bbox').map((file) => `bbox/${file}`)]],
    }),
    loader('SAMLoader', ['SAM_MODEL'], {
      model_name: [[...files('sams'), 'ESAM']],
      device_mode: [['AUTO', 'Prefer GPU', 'CPU']],
    }),
    loader('IPAdapterModelLoader', ['IPADAPTER'], { ipadapter_file: [files('ipadapter')] }),
    loader('IPAdapterUnifiedLoader', ['IPADAPTER'], {
      preset: [['LIGHT - SD1.5 only (low strength)', 'PLUS (high strength)']],
    }),
    loader('CLIPVisionLoader', ['CLIP_VISION'], { clip_name: [files('clip_vision')] }),
    loader('ControlNetLoader', ['CONTROL_NET'], { control_net_name: [files('controlnet')] }),
    loader('DWPreprocessor', ['POSE'], {
      bbox_detector: [['None', 'yolox_l.torchscript.pt', 'yolox_l.onnx']],
      pose_estimator: [['dw-ll_ucoco_384_bs5.torchscript.pt', 'dw-ll_ucoco_384.onnx']],
    }),
    loader('UnetLoaderGGUF', ['MODEL'], { unet_name: [files('unet_gguf')] }),
    loader('DualCLIPLoaderGGUF', ['CLIP'], {
      clip_name1: [files('clip_gguf')],
      clip_name2: [files('clip_gguf')],
      type: [['sdxl', 'sd3', 'flux']],
    }),
    loader('WanVideoModelLoader', ['WANVIDEOMODEL'], {
      model: [
        'COMBO',
        { options: [...files('diffusion_models')], tooltip: 'from ComfyUI/models/diffusion_models' },
      ],
      base_precision: [['fp32', 'bf16'], { default: 'bf16' }],
    }),
    loader('LoadWanVideoT5TextEncoder', ['WANTEXTENCODER'], { model_name: [files('text_encoders')] }),
    loader('Florence2ModelLoader', ['FL2MODEL'], {
      model: [files('LLM')],
      precision: [['fp16', 'bf16', 'fp32']],
    }),
    loader('画像拡大モデル', ['UPSCALE_MODEL'], { モデル: [files('upscale_models')] }),
    loader('FaceRestoreLoader', ['FACE'], { restorer: [['none', ...files('facerestore')]] }),
    loader('Reroute (rgthree)', ['*'], { '': ['*'] }),
    loader('PrimitiveString', ['STRING'], { value: STRING }),
    loader('Lora Manager Stack', ['LORA_STACK'], { text: STRING }, { trigger: STRING }),
    loader('MergeModels', ['MODEL'], {
      chosen: ['COMBO', { options: [...files('checkpoints')], multiselect: true }],
      ratio: FLOAT,
    }),
    loader('RemoteLoader', ['MODEL'], {
      asset: ['COMBO', { remote: { route: '/internal/files', refresh: 0 } }],
    }),
  ];
}
