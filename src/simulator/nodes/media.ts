/** Nodes whose results are not single pictures: animations, videos, sound, latents. */
import sharp from 'sharp';
import { flac, mp3, type Sound } from '../audio-files.ts';
import { type NodeCall, type NodeClass, type NodeResult, num, picturesOf, str } from '../node-class.ts';
import { encodeApng, encodePng } from '../png-text.ts';
import { mp4, type Video, webm } from '../video-files.ts';
import type { Latent } from './sampling.ts';
import { fileTexts, tempPrefix } from './saving.ts';

const HIDDEN = { prompt: 'PROMPT', extra_pnginfo: 'EXTRA_PNGINFO' };
const prefix = (name: string) => ['STRING', { default: name }] as const;
const FPS = ['FLOAT', { default: 24, min: 0.01, max: 1000, step: 0.01 }] as const;

async function animated(call: NodeCall, extension: string, bytes: Buffer): Promise<NodeResult> {
  const [first] = picturesOf(call.inputs.images);
  const size = first ?? { width: 0, height: 0 };
  const file = { type: 'output', prefix: str(call.inputs.filename_prefix), extension, size, bytes } as const;
  return { ui: { images: [await call.save(file)], animated: [true] } };
}

const SAVE_WEBP: NodeClass = {
  name: 'SaveAnimatedWEBP',
  category: 'image/animation',
  pythonModule: 'comfy_extras.nodes_images',
  required: {
    images: ['IMAGE'],
    filename_prefix: prefix('ComfyUI'),
    fps: ['FLOAT', { default: 6, min: 0.01, max: 1000, step: 0.01 }],
    lossless: ['BOOLEAN', { default: true }],
    quality: ['INT', { default: 80, min: 0, max: 100 }],
    method: [['default', 'fastest', 'slowest']],
  },
  hidden: HIDDEN,
  outputs: [],
  isOutput: true,
  run: async (call) => {
    const { inputs } = call;
    const frames = await Promise.all(picturesOf(inputs.images).map((picture) => encodePng(picture)));
    const options = {
      lossless: inputs.lossless === true,
      quality: Math.max(1, num(inputs.quality)),
      effort: 0,
    };
    const delay = frames.map(() => Math.round(1000 / num(inputs.fps)));
    const bytes = await sharp(frames, { join: { animated: true } })
      .webp({ ...options, delay, loop: 0 })
      .toBuffer();
    return animated(call, 'webp', bytes);
  },
};

const SAVE_APNG: NodeClass = {
  name: 'SaveAnimatedPNG',
  category: 'image/animation',
  pythonModule: 'comfy_extras.nodes_images',
  required: {
    images: ['IMAGE'],
    filename_prefix: prefix('ComfyUI'),
    fps: ['FLOAT', { default: 6, min: 0.01, max: 1000, step: 0.01 }],
    compress_level: ['INT', { default: 4, min: 0, max: 9 }],
  },
  hidden: HIDDEN,
  outputs: [],
  isOutput: true,
  run: async (call) =>
    animated(call, 'png', await encodeApng(picturesOf(call.inputs.images), num(call.inputs.fps))),
};

const SAVE_WEBM: NodeClass = {
  name: 'SaveWEBM',
  category: 'image/video',
  pythonModule: 'comfy_extras.nodes_video',
  required: {
    images: ['IMAGE'],
    filename_prefix: prefix('ComfyUI'),
    codec: [['vp9', 'av1']],
    fps: FPS,
    crf: [
      'FLOAT',
      {
        default: 32,
        min: 0,
        max: 63,
        step: 1,
        tooltip: 'Higher crf means lower quality and a smaller file.',
      },
    ],
  },
  hidden: HIDDEN,
  outputs: [],
  isOutput: true,
  run: async (call) => {
    const video: Video = {
      kind: 'video',
      pictures: picturesOf(call.inputs.images),
      fps: num(call.inputs.fps),
    };
    return animated(call, 'webm', await webm(video));
  },
};

const CREATE_VIDEO: NodeClass = {
  name: 'CreateVideo',
  displayName: 'Create Video',
  category: 'image/video',
  description: 'Create a video from images.',
  pythonModule: 'comfy_extras.nodes_video',
  required: {
    images: ['IMAGE', { tooltip: 'The images to create a video from.' }],
    fps: ['FLOAT', { default: 30, min: 1, max: 120, step: 1 }],
  },
  optional: { audio: ['AUDIO', { tooltip: 'The audio to add to the video.' }] },
  outputs: ['VIDEO'],
  run: ({ inputs }) => {
    const video: Video = { kind: 'video', pictures: picturesOf(inputs.images), fps: num(inputs.fps) };
    return { outputs: [video] };
  },
};

const SAVE_VIDEO: NodeClass = {
  name: 'SaveVideo',
  displayName: 'Save Video',
  category: 'image/video',
  description: 'Saves the input images to your ComfyUI output directory.',
  pythonModule: 'comfy_extras.nodes_video',
  required: {
    video: ['VIDEO', { tooltip: 'The video to save.' }],
    filename_prefix: prefix('video/ComfyUI'),
    format: [['auto', 'mp4'], { default: 'auto' }],
    codec: [['auto', 'h264'], { default: 'auto' }],
  },
  hidden: HIDDEN,
  outputs: [],
  isOutput: true,
  run: async (call) => {
    const video = call.inputs.video as Video;
    const size = video.pictures[0] ?? { width: 0, height: 0 };
    const bytes = await mp4(video);
    const file = {
      type: 'output',
      prefix: str(call.inputs.filename_prefix),
      extension: 'mp4',
      size,
      bytes,
    } as const;
    return { ui: { images: [await call.save(file)], animated: [true] } };
  },
};

const EMPTY_AUDIO: NodeClass = {
  name: 'EmptyAudio',
  displayName: 'Empty Audio',
  category: 'audio',
  pythonModule: 'comfy_extras.nodes_audio',
  required: {
    duration: [
      'FLOAT',
      {
        default: 60,
        min: 0,
        max: 2 ** 53,
        step: 0.01,
        tooltip: 'Duration of the empty audio clip in seconds',
      },
    ],
    sample_rate: ['INT', { default: 44100, tooltip: 'Sample rate of the empty audio clip.' }],
    channels: [
      'INT',
      { default: 2, min: 1, max: 2, tooltip: 'Number of audio channels (1 for mono, 2 for stereo).' },
    ],
  },
  outputs: ['AUDIO'],
  run: ({ inputs }) => {
    const sound: Sound = {
      seconds: num(inputs.duration),
      sampleRate: num(inputs.sample_rate),
      channels: num(inputs.channels),
    };
    return { outputs: [sound] };
  },
};

async function saveSound(
  call: NodeCall,
  type: 'output' | 'temp',
  encode: typeof flac,
  extension: string,
): Promise<NodeResult> {
  const bytes = encode(call.inputs.audio as Sound, fileTexts(call));
  const name = type === 'temp' ? tempPrefix(call) : str(call.inputs.filename_prefix);
  return { ui: { audio: [await call.save({ type, prefix: name, extension, bytes })] } };
}

function soundNode(
  name: string,
  displayName: string,
  required: NodeClass['required'],
  run: NodeClass['run'],
): NodeClass {
  const module = 'comfy_extras.nodes_audio';
  return {
    name,
    displayName,
    category: 'audio',
    pythonModule: module,
    required,
    hidden: HIDDEN,
    outputs: [],
    isOutput: true,
    run,
  };
}

const SAVE_LATENT: NodeClass = {
  name: 'SaveLatent',
  category: '_for_testing',
  required: { samples: ['LATENT'], filename_prefix: prefix('latents/ComfyUI') },
  hidden: HIDDEN,
  outputs: [],
  isOutput: true,
  run: async (call) => {
    const bytes = safetensors(call.inputs.samples as Latent, fileTexts(call));
    return {
      ui: {
        latents: [
          await call.save({
            type: 'output',
            prefix: str(call.inputs.filename_prefix),
            extension: 'latent',
            bytes,
          }),
        ],
      },
    };
  },
};

/** A safetensors file with a zero tensor of the latent's shape. */
function safetensors(
  { width, height, batch }: Latent,
  texts: readonly (readonly [string, string])[],
): Buffer {
  const shape = [batch, 4, height / 8, width / 8];
  const size = shape.reduce((product, side) => product * side, 4);
  const header = JSON.stringify({
    __metadata__: Object.fromEntries(texts),
    latent_format_version_0: { dtype: 'F32', shape: [0], data_offsets: [0, 0] },
    latent_tensor: { dtype: 'F32', shape, data_offsets: [0, size] },
  });
  const text = Buffer.from(header.padEnd(Math.ceil(header.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length), 0);
  return Buffer.concat([length, text, Buffer.alloc(size)]);
}

export const MEDIA_NODES: readonly NodeClass[] = [
  SAVE_WEBP,
  SAVE_APNG,
  SAVE_WEBM,
  CREATE_VIDEO,
  SAVE_VIDEO,
  EMPTY_AUDIO,
  soundNode(
    'SaveAudio',
    'Save Audio (FLAC)',
    { audio: ['AUDIO'], filename_prefix: prefix('audio/ComfyUI') },
    (call) => saveSound(call, 'output', flac, 'flac'),
  ),
  soundNode(
    'SaveAudioMP3',
    'Save Audio (MP3)',
    {
      audio: ['AUDIO'],
      filename_prefix: prefix('audio/ComfyUI'),
      quality: [['V0', '128k', '320k'], { default: 'V0' }],
    },
    (call) => saveSound(call, 'output', mp3, 'mp3'),
  ),
  soundNode('PreviewAudio', 'Preview Audio', { audio: ['AUDIO'] }, (call) =>
    saveSound(call, 'temp', flac, 'flac'),
  ),
  SAVE_LATENT,
];
