/** Loading, making and changing pictures. */
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
import { blur, decode, invert, mask, type Picture, plain, scale } from '../pictures.ts';
import { PythonError } from '../python-error.ts';

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

const IMAGE_BLUR: NodeClass = {
  name: 'ImageBlur',
  category: 'image/postprocessing',
  pythonModule: 'comfy_extras.nodes_post_processing',
  required: {
    image: ['IMAGE'],
    blur_radius: ['INT', { default: 1, min: 1, max: 31, step: 1 }],
    sigma: ['FLOAT', { default: 1, min: 0.1, max: 10, step: 0.1 }],
  },
  outputs: ['IMAGE'],
  run: async ({ inputs }) => {
    const sigma = Math.max(0.3, num(inputs.sigma));
    return { outputs: [images(await Promise.all(picturesOf(inputs.image).map((one) => blur(one, sigma))))] };
  },
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

export const IMAGE_NODES: readonly NodeClass[] = [
  LOAD_IMAGE,
  IMAGE_SCALE,
  IMAGE_INVERT,
  EMPTY_IMAGE,
  IMAGE_BLUR,
  SOLID_MASK,
  LOAD_BASE64,
];
