/** Loading, making, changing and saving pictures. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  images,
  type NodeCall,
  type NodeClass,
  type NodeResult,
  num,
  picturesOf,
  str,
} from '../node-class.ts';
import { decode, invert, jpeg, mask, type Picture, plain, scale } from '../pictures.ts';
import { encodePng } from '../png-text.ts';
import { PythonError } from '../python-error.ts';
import { isObject } from '../python-json.ts';
import { formatInput } from '../tensor-text.ts';
import { savePictures, tempPrefix } from './saving.ts';

const HIDDEN = { prompt: 'PROMPT', extra_pnginfo: 'EXTRA_PNGINFO' };
const SIZE = { default: 512, min: 0, max: 16384, step: 1 };

async function loadImage(call: NodeCall): Promise<NodeResult> {
  const path = await call.inputPath(str(call.inputs.image));
  if (path === undefined)
    throw new PythonError(
      'FileNotFoundError',
      `[Errno 2] No such file or directory: '${str(call.inputs.image)}'`,
    );
  return loaded(await readFile(path));
}

async function loaded(bytes: Buffer): Promise<NodeResult> {
  const image = await decode(bytes).catch(() => {
    throw new PythonError('PIL.UnidentifiedImageError', 'cannot identify image file');
  });
  const transparent = image.alpha ? invert(image.alpha) : mask(64, 64, 0);
  return { outputs: [images([image.rgb]), { kind: 'mask', pictures: [transparent] }] };
}

const LOAD_IMAGE: NodeClass = {
  name: 'LoadImage',
  displayName: 'Load Image',
  category: 'image',
  required: { image: [(world) => world.inputFiles(), { image_upload: true }] },
  outputs: ['IMAGE', 'MASK'],
  changed: async (inputs, world) => {
    const path = await world.inputPath(str(inputs.image));
    return path === undefined
      ? null
      : createHash('sha256')
          .update(await readFile(path))
          .digest('hex');
  },
  check: {
    input: 'image',
    run: async (value, world) => {
      const name = str(value);
      return (await world.inputPath(name)) === undefined ? `Invalid image file: ${name}` : true;
    },
  },
  run: loadImage,
};

const LOAD_BASE64: NodeClass = {
  name: 'ETN_LoadImageBase64',
  displayName: 'Load Image (Base64)',
  category: 'external_tooling',
  pythonModule: 'custom_nodes.comfyui-tooling-nodes',
  required: { image: ['STRING', { multiline: true }] },
  outputs: ['IMAGE', 'MASK'],
  run: (call) => {
    const text = str(call.inputs.image).replace(/[^A-Za-z0-9+/]/g, '');
    if (text.length % 4 === 1) {
      const message = `Invalid base64-encoded string: number of data characters (${text.length}) cannot be 1 more than a multiple of 4`;
      throw new PythonError('binascii.Error', message);
    }
    return loaded(Buffer.from(text, 'base64'));
  },
};

/** Small plain pictures asked for again share their pixels, and with them the compressed form. */
const plainPictures = new Map<string, Picture>();
function sharedPlain(width: number, height: number, color: number): Picture {
  if (width * height > 4096) return plain(width, height, color);
  const key = `${width}x${height}:${color}`;
  const known = plainPictures.get(key) ?? plain(width, height, color);
  if (plainPictures.size > 256) plainPictures.clear();
  plainPictures.set(key, known);
  return known;
}

const EMPTY_IMAGE: NodeClass = {
  name: 'EmptyImage',
  category: 'image',
  required: {
    width: ['INT', { default: 512, min: 1, max: 16384, step: 1 }],
    height: ['INT', { default: 512, min: 1, max: 16384, step: 1 }],
    batch_size: ['INT', { default: 1, min: 1, max: 4096 }],
    color: ['INT', { default: 0, min: 0, max: 16777215, step: 1, display: 'color' }],
  },
  outputs: ['IMAGE'],
  run: ({ inputs }) => {
    const picture = sharedPlain(num(inputs.width), num(inputs.height), num(inputs.color));
    return { outputs: [images(Array.from({ length: num(inputs.batch_size) }, () => picture))] };
  },
};

const IMAGE_SCALE: NodeClass = {
  name: 'ImageScale',
  displayName: 'Upscale Image',
  category: 'image/upscaling',
  required: {
    image: ['IMAGE'],
    upscale_method: [['nearest-exact', 'bilinear', 'area', 'bicubic', 'lanczos']],
    width: ['INT', SIZE],
    height: ['INT', SIZE],
    crop: [['disabled', 'center']],
  },
  outputs: ['IMAGE'],
  run: async ({ inputs }) => {
    const pictures = picturesOf(inputs.image);
    const [first] = pictures;
    const width = num(inputs.width);
    const height = num(inputs.height);
    if (!first || (width === 0 && height === 0)) return { outputs: [images(pictures)] };
    const w = width || Math.max(1, Math.round((first.width * height) / first.height));
    const h = height || Math.max(1, Math.round((first.height * width) / first.width));
    const scaled = pictures.map((picture) =>
      scale(picture, w, h, str(inputs.upscale_method), str(inputs.crop)),
    );
    return { outputs: [images(await Promise.all(scaled))] };
  },
};

const IMAGE_INVERT: NodeClass = {
  name: 'ImageInvert',
  displayName: 'Invert Image',
  category: 'image',
  required: { image: ['IMAGE'] },
  outputs: ['IMAGE'],
  run: ({ inputs }) => ({ outputs: [images(picturesOf(inputs.image).map(invert))] }),
};

const SAVE_IMAGE: NodeClass = {
  name: 'SaveImage',
  displayName: 'Save Image',
  category: 'image',
  description: 'Saves the input images to your ComfyUI output directory.',
  required: {
    images: ['IMAGE', { tooltip: 'The images to save.' }],
    filename_prefix: [
      'STRING',
      {
        default: 'ComfyUI',
        tooltip:
          'The prefix for the file to save. This may include formatting information such as %date:yyyy-MM-dd% or %Empty Latent Image.width% to include values from nodes.',
      },
    ],
  },
  hidden: HIDDEN,
  outputs: [],
  isOutput: true,
  run: async (call) => {
    const saved = await savePictures(
      call,
      picturesOf(call.inputs.images),
      'output',
      str(call.inputs.filename_prefix),
    );
    return { ui: { images: saved } };
  },
};

const PREVIEW_IMAGE: NodeClass = {
  name: 'PreviewImage',
  displayName: 'Preview Image',
  category: 'image',
  description: 'Saves the input images to your ComfyUI output directory.',
  required: { images: ['IMAGE'] },
  hidden: HIDDEN,
  outputs: [],
  isOutput: true,
  run: async (call) => ({
    ui: { images: await savePictures(call, picturesOf(call.inputs.images), 'temp', tempPrefix(call)) },
  }),
};

const SOLID_MASK: NodeClass = {
  name: 'SolidMask',
  category: 'mask',
  pythonModule: 'comfy_extras.nodes_mask',
  required: {
    value: ['FLOAT', { default: 1, min: 0, max: 1, step: 0.01 }],
    width: ['INT', { default: 512, min: 1, max: 16384, step: 1 }],
    height: ['INT', { default: 512, min: 1, max: 16384, step: 1 }],
  },
  outputs: ['MASK'],
  run: ({ inputs }) => ({
    outputs: [{ kind: 'mask', pictures: [mask(num(inputs.width), num(inputs.height), num(inputs.value))] }],
  }),
};

function asRgb(picture: Picture): Picture {
  if (picture.channels !== 1) return picture;
  const data = Buffer.alloc(picture.data.length * 3);
  for (let index = 0; index < picture.data.length; index += 1)
    data.fill(picture.data[index] ?? 0, index * 3, index * 3 + 3);
  return { ...picture, channels: 3, data };
}

const MASK_PREVIEW: NodeClass = {
  name: 'MaskPreview',
  displayName: 'Preview Mask',
  category: 'mask',
  pythonModule: 'comfy_extras.nodes_mask',
  required: { mask: ['MASK'] },
  hidden: HIDDEN,
  outputs: [],
  isOutput: true,
  run: async (call) => ({
    ui: {
      images: await savePictures(call, picturesOf(call.inputs.mask).map(asRgb), 'temp', tempPrefix(call)),
    },
  }),
};

const SAVE_WEBSOCKET: NodeClass = {
  name: 'SaveImageWebsocket',
  category: 'api/image',
  pythonModule: 'custom_nodes.websocket_image_save',
  required: { images: ['IMAGE'] },
  outputs: [],
  isOutput: true,
  changed: () => performance.now(),
  run: async (call) => {
    const pictures = picturesOf(call.inputs.images);
    for (const [index, picture] of pictures.entries()) {
      await call.progress(index, pictures.length, { format: 'PNG', bytes: await encodePng(picture) });
    }
    return {};
  },
};

const SEND_WEBSOCKET: NodeClass = {
  name: 'ETN_SendImageWebSocket',
  displayName: 'Send Image (WebSocket)',
  category: 'external_tooling',
  pythonModule: 'custom_nodes.comfyui-tooling-nodes',
  required: { images: ['IMAGE'], format: [['PNG', 'JPEG'], { default: 'PNG' }] },
  outputs: [],
  isOutput: true,
  run: async (call) => {
    const format = str(call.inputs.format) === 'JPEG' ? 'JPEG' : 'PNG';
    const entries: unknown[] = [];
    for (const picture of picturesOf(call.inputs.images)) {
      const bytes =
        format === 'PNG' ? await encodePng(picture) : await jpeg(picture, picture.width, picture.height);
      call.sendFrame({ format, bytes });
      entries.push({ source: 'websocket', 'content-type': `image/${format.toLowerCase()}`, type: 'output' });
    }
    return { ui: { images: entries } };
  },
};

const PREVIEW_ANY: NodeClass = {
  name: 'PreviewAny',
  displayName: 'Preview Any',
  category: 'utils',
  pythonModule: 'comfy_extras.nodes_preview_any',
  required: { source: ['*', {}] },
  outputs: [],
  isOutput: true,
  run: ({ inputs }) => {
    const source = inputs.source;
    const text =
      isObject(source) && !('kind' in source) ? JSON.stringify(source, null, 4) : String(formatInput(source));
    return { ui: { text: [text] } };
  },
};

export const IMAGE_NODES: readonly NodeClass[] = [
  SAVE_IMAGE,
  PREVIEW_IMAGE,
  LOAD_IMAGE,
  IMAGE_SCALE,
  IMAGE_INVERT,
  EMPTY_IMAGE,
  SOLID_MASK,
  MASK_PREVIEW,
  PREVIEW_ANY,
  SAVE_WEBSOCKET,
  LOAD_BASE64,
  SEND_WEBSOCKET,
];
