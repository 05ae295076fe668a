/** Real pixels: decoding, scaling, cutting out and painting. Sizes are pixels, samples are 8 bit. */
import { createHash } from 'node:crypto';
import sharp, { type Sharp } from 'sharp';

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** 1 is a mask, 3 is RGB, 4 is RGB with alpha. */
  readonly channels: 1 | 3 | 4;
  readonly data: Buffer;
}

export function raw(picture: Picture): Sharp {
  const { width, height, channels } = picture;
  return sharp(picture.data, { raw: { width, height, channels } });
}

async function toPicture(pipeline: Sharp): Promise<Picture> {
  const { data, info } = await pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  const channels = info.channels === 4 ? 4 : info.channels === 1 ? 1 : 3;
  return { width: info.width, height: info.height, channels, data };
}

/** Decodes an image file as RGB and, if it has one, its alpha. Throws what sharp throws for bytes that are no image. */
export async function decode(bytes: Buffer): Promise<{ rgb: Picture; alpha: Picture | undefined }> {
  const image = await toPicture(sharp(bytes).rotate().toColourspace('srgb').ensureAlpha());
  const meta = await sharp(bytes).metadata();
  const rgb = await toPicture(raw(image).removeAlpha());
  if (!meta.hasAlpha) return { rgb, alpha: undefined };
  return { rgb, alpha: await toPicture(raw(image).extractChannel(3)) };
}

/** A picture of one colour (0xRRGGBB). */
export function plain(width: number, height: number, color: number): Picture {
  const data = Buffer.alloc(width * height * 3);
  const [red, green, blue] = [(color >> 16) & 255, (color >> 8) & 255, color & 255];
  if (red === green && green === blue) data.fill(red);
  else data.fill(Buffer.from([red, green, blue]));
  return { width, height, channels: 3, data };
}

export function mask(width: number, height: number, value: number): Picture {
  return { width, height, channels: 1, data: Buffer.alloc(width * height, Math.round(value * 255)) };
}

export function invert(picture: Picture): Picture {
  const data = Buffer.allocUnsafe(picture.data.length);
  for (let index = 0; index < data.length; index += 1) data[index] = 255 - (picture.data[index] ?? 0);
  return { ...picture, data };
}

const KERNELS = {
  'nearest-exact': 'nearest',
  bilinear: 'linear',
  area: 'mitchell',
  bicubic: 'cubic',
  lanczos: 'lanczos3',
} as const;

/** Scales to exactly this size; `crop` "center" keeps the proportions and cuts what is too much. */
export function scale(
  picture: Picture,
  width: number,
  height: number,
  method: string,
  crop = 'disabled',
): Promise<Picture> {
  const kernel = KERNELS[method as keyof typeof KERNELS] ?? 'cubic';
  const fit = crop === 'center' ? 'cover' : 'fill';
  return toPicture(raw(picture).resize(width, height, { kernel, fit }));
}

/** What an upscale model does, as far as size and crispness go. */
/** Softens it. `sigma` is at least 0.3. */
export function blur(picture: Picture, sigma: number): Promise<Picture> {
  return toPicture(raw(picture).blur(sigma));
}

export function upscale(picture: Picture, factor: number): Promise<Picture> {
  const bigger = raw(picture).resize(picture.width * factor, picture.height * factor, {
    kernel: 'lanczos3',
    fit: 'fill',
  });
  return toPicture(picture.width * picture.height > 1_000_000 ? bigger : bigger.sharpen({ sigma: 0.8 }));
}

/**
 * Cuts out the subject: what differs from the border's colour stays. Where that tells nothing (a plain picture,
 * noise) an ellipse in the middle stays, so there are always transparent and opaque pixels.
 */
export function cutOut(picture: Picture): { cut: Picture; alpha: Picture } {
  const { width, height } = picture;
  const border = borderColor(picture);
  const alpha = Buffer.alloc(width * height);
  let opaque = 0;
  for (let index = 0; index < alpha.length; index += 1) {
    const at = index * picture.channels;
    let distance = 0;
    for (let channel = 0; channel < 3; channel += 1) {
      distance += Math.abs((picture.data[at + channel] ?? 0) - (border[channel] ?? 0));
    }
    const value = Math.max(0, Math.min(255, (distance - 24) * 6));
    alpha[index] = value;
    if (value === 255) opaque += 1;
  }
  const share = opaque / alpha.length;
  if (share < 0.02 || share > 0.9) paintEllipse(alpha, width, height);
  const data = Buffer.alloc(width * height * 4);
  for (let index = 0; index < alpha.length; index += 1) {
    picture.data.copy(data, index * 4, index * picture.channels, index * picture.channels + 3);
    data[index * 4 + 3] = alpha[index] ?? 0;
  }
  return { cut: { width, height, channels: 4, data }, alpha: { width, height, channels: 1, data: alpha } };
}

function borderColor({ width, height, channels, data }: Picture): number[] {
  const sum = [0, 0, 0];
  let count = 0;
  const add = (x: number, y: number): void => {
    const at = (y * width + x) * channels;
    for (let channel = 0; channel < 3; channel += 1)
      sum[channel] = (sum[channel] ?? 0) + (data[at + channel] ?? 0);
    count += 1;
  };
  for (let x = 0; x < width; x += 1) {
    add(x, 0);
    add(x, height - 1);
  }
  for (let y = 0; y < height; y += 1) {
    add(0, y);
    add(width - 1, y);
  }
  return sum.map((value) => value / count);
}

function paintEllipse(alpha: Buffer, width: number, height: number): void {
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const dx = (x + 0.5 - width / 2) / (width * 0.36);
      const dy = (y + 0.5 - height / 2) / (height * 0.42);
      alpha[y * width + x] = Math.max(0, Math.min(255, Math.round((1.1 - Math.hypot(dx, dy)) * 10 * 255)));
    }
  }
}

/** A repeatable stream of numbers in [0, 1) from any text. */
export function randomFrom(text: string): () => number {
  let state = createHash('sha1').update(text).digest().readUInt32LE(0);
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Random pixels. */
export function noise(width: number, height: number, seed: string): Picture {
  const random = randomFrom(seed);
  const data = Buffer.allocUnsafe(width * height * 3);
  for (let index = 0; index < data.length; index += 1) data[index] = Math.floor(random() * 256);
  return { width, height, channels: 3, data };
}

/** Long side of the sketch a painting is made from; it is scaled up, so big pictures cost little. */
const SKETCH = 48;

/**
 * Paints something that depends on every word of `subject` and on nothing else: a gradient with soft coloured discs.
 * `progress` below 1 mixes in noise, for previews.
 */
export function sketch(width: number, height: number, subject: string, progress = 1): Picture {
  const random = randomFrom(subject);
  const factor = Math.min(1, SKETCH / Math.max(width, height));
  const w = Math.max(2, Math.round(width * factor));
  const h = Math.max(2, Math.round(height * factor));
  const tone = (): number[] => [random() * 255, random() * 255, random() * 255];
  const [top, bottom] = [tone(), tone()];
  const discs = Array.from({ length: 5 }, () => ({
    x: random(),
    y: random(),
    r: 0.1 + random() * 0.3,
    color: tone(),
  }));
  const data = Buffer.alloc(w * h * 3);
  for (let y = 0; y < h; y += 1) {
    for (let x = 0; x < w; x += 1) {
      const near = discs.findLast((disc) => Math.hypot(x / w - disc.x, y / h - disc.y) < disc.r);
      for (let channel = 0; channel < 3; channel += 1) {
        const ground = (top[channel] ?? 0) * (1 - y / h) + (bottom[channel] ?? 0) * (y / h);
        const value = near ? 0.8 * (near.color[channel] ?? 0) + 0.2 * ground : ground;
        data[(y * w + x) * 3 + channel] = Math.round(value * progress + random() * 255 * (1 - progress));
      }
    }
  }
  return { width: w, height: h, channels: 3, data };
}

export async function paint(width: number, height: number, subject: string): Promise<Picture> {
  return scale(sketch(width, height, subject), width, height, 'bicubic');
}

/** A JPEG of at most 512 pixels, as the sampler previews are. */
export function jpeg(picture: Picture, width: number, height: number): Promise<Buffer> {
  const factor = Math.min(1, 512 / Math.max(width, height));
  return raw(picture)
    .resize(Math.max(1, Math.round(width * factor)), Math.max(1, Math.round(height * factor)), {
      fit: 'fill',
    })
    .jpeg({ quality: 80 })
    .toBuffer();
}
