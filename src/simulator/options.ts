/** How a simulated ComfyUI is set up: what it has, how fast it is, where its files are. All times are milliseconds. */
import type { Clock } from '../lib/clock.ts';
import type { Faults } from './faults.ts';
import type { NodeClass } from './node-class.ts';

export interface SimulatorOptions {
  /** 0 is a free one, kept over restarts. Default 0. */
  readonly port?: number;
  readonly host?: string;
  /** Model files by folder; merged over the default folders. */
  readonly models?: Readonly<Record<string, readonly string[]>>;
  readonly removeNodeClasses?: readonly string[];
  readonly addNodeClasses?: readonly NodeClass[];
  /** Cost of using a model that is not resident. */
  readonly modelLoadMs?: number;
  /** Models that fit into memory at once. Default 2. */
  readonly residentModels?: number;
  /** Cost of each sampler step and each progress step. */
  readonly stepMs?: number;
  /** Cost of every node that really runs. */
  readonly nodeMs?: number;
  /** Sampler previews: none (as ComfyUI without --preview-method) or JPEG sketches per step. */
  readonly previewMethod?: 'none' | 'latent';
  readonly cache?: 'classic' | 'none';
  /** Holds input, output and temp. A temporary folder, removed on stop, when not given. */
  readonly dataDir?: string;
  /** Keeps what it was posted and what it ran, so that the list outlives the process. */
  readonly logFile?: string;
  /** How long a start takes, the first and every other; connections are refused meanwhile. Default 0. */
  readonly bootMs?: number;
  /** Makes made-up names and ids repeatable. */
  readonly seed?: string;
  readonly vramTotalBytes?: number;
  readonly gpuName?: string;
  /** Default 100 MiB. */
  readonly maxUploadBytes?: number;
  /** --enable-cors-header: no origin check, this fixed answer. */
  readonly corsOrigin?: string;
  /** --enable-compress-response-body. */
  readonly compressResponses?: boolean;
  readonly version?: string;
  /**
   * The outputs of a prompt in the order in which they are to run. ComfyUI keeps them in a Python set, so its order
   * changes from process to process. Default: as in the graph.
   */
  readonly orderOutputs?: (ids: readonly string[]) => readonly string[];
  readonly faults?: Partial<Faults>;
  readonly clock?: Clock;
  /** Told when the simulated process dies by itself. */
  readonly onCrash?: (reason: string) => void;
}

export type ResolvedOptions = Required<
  Omit<SimulatorOptions, 'corsOrigin' | 'faults' | 'clock' | 'onCrash' | 'dataDir' | 'logFile'>
> & {
  readonly corsOrigin: string | undefined;
};

/** Folder names as GET /models lists them on 0.3.64. */
const FOLDERS = [
  'checkpoints',
  'configs',
  'loras',
  'vae',
  'text_encoders',
  'diffusion_models',
  'clip_vision',
  'style_models',
  'embeddings',
  'diffusers',
  'vae_approx',
  'controlnet',
  'gligen',
  'upscale_models',
  'custom_nodes',
  'hypernetworks',
  'photomaker',
  'classifiers',
  'model_patches',
  'audio_encoders',
];

const DEFAULT_MODELS: Readonly<Record<string, readonly string[]>> = {
  checkpoints: ['sd_xl_base_1.0.safetensors', 'v1-5-pruned-emaonly.safetensors'],
  loras: ['add-detail-xl.safetensors'],
  vae: ['sdxl_vae.safetensors'],
  upscale_models: ['4x_NMKD-Siax_200k.pth'],
};

export function resolveOptions(options: SimulatorOptions): ResolvedOptions {
  const folders = Object.fromEntries(FOLDERS.map((folder) => [folder, [] as readonly string[]]));
  return {
    port: options.port ?? 0,
    host: options.host ?? '127.0.0.1',
    models: { ...folders, ...DEFAULT_MODELS, ...options.models },
    removeNodeClasses: options.removeNodeClasses ?? [],
    addNodeClasses: options.addNodeClasses ?? [],
    modelLoadMs: options.modelLoadMs ?? 0,
    residentModels: options.residentModels ?? 2,
    stepMs: options.stepMs ?? 0,
    nodeMs: options.nodeMs ?? 0,
    bootMs: options.bootMs ?? 0,
    previewMethod: options.previewMethod ?? 'none',
    cache: options.cache ?? 'classic',
    seed: options.seed ?? String(Math.random()),
    vramTotalBytes: options.vramTotalBytes ?? 24 * 1024 ** 3,
    gpuName: options.gpuName ?? 'cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync',
    maxUploadBytes: options.maxUploadBytes ?? 100 * 1024 * 1024,
    corsOrigin: options.corsOrigin,
    compressResponses: options.compressResponses ?? false,
    version: options.version ?? '0.3.64',
    orderOutputs: options.orderOutputs ?? ((ids) => ids),
  };
}
