/**
 * Looks at bytes that claim to be a picture. The type comes from the content, the size from the header: nothing is decoded
 * before both are known to be acceptable, because a file of a few kB can decode to gigabytes.
 */
import { open } from 'node:fs/promises';
import { fileTypeFromBuffer, fileTypeFromFile } from 'file-type';
import sharp from 'sharp';
import type { Content } from './blob-store.ts';
import { errorCode } from './fs-error.ts';

export const UPLOAD_TYPES = ['image/png', 'image/jpeg', 'image/webp'] as const;
export const PICTURE_TYPES = [...UPLOAD_TYPES, 'image/gif', 'image/avif'] as const;
export type PictureType = (typeof PICTURE_TYPES)[number];

export interface ImageLimits {
  /** Types taken; default those of uploads. */
  readonly types?: readonly PictureType[];
  /** Of all frames together; default 50 million. */
  readonly maxPixels?: number;
  /** Longest side in pixels; default 16384. */
  readonly maxSide?: number;
  /** Also decodes the first frame in full, to find pictures that end early; default false. */
  readonly decode?: boolean;
}

export interface ImageFacts {
  readonly mimeType: PictureType;
  readonly width: number;
  readonly height: number;
  readonly animated: boolean;
}

export type ImageRejection =
  | { readonly reason: 'not-an-image' }
  | { readonly reason: 'unsupported'; readonly mimeType: string }
  | { readonly reason: 'too-many-pixels'; readonly width: number; readonly height: number }
  /** It begins as a picture of a known type, but cannot be read to its end. */
  | { readonly reason: 'truncated' };

export type ImageProbe = ({ readonly ok: true } & ImageFacts) | ({ readonly ok: false } & ImageRejection);

const DEFAULT_MAX_PIXELS = 50_000_000;
const DEFAULT_MAX_SIDE = 16_384;

/** The media type that the first bytes speak of; null when they are those of no known format (text, for one). */
export async function sniffType(content: Content): Promise<string | null> {
  try {
    const found = await (typeof content === 'string'
      ? fileTypeFromFile(content)
      : fileTypeFromBuffer(content));
    return found?.mime ?? null;
  } catch (error) {
    // A malformed container may make the parser give up; only a file that cannot be read is our problem.
    if (errorCode(error)) throw error;
    return null;
  }
}

/** Judges a picture; never throws because of what is in it. */
export async function probeImage(content: Content, limits: ImageLimits = {}): Promise<ImageProbe> {
  const maxPixels = limits.maxPixels ?? DEFAULT_MAX_PIXELS;
  const maxSide = limits.maxSide ?? DEFAULT_MAX_SIDE;
  const sniffed = await sniffType(content);
  if (!sniffed?.startsWith('image/')) return { ok: false, reason: 'not-an-image' };
  const mimeType = (limits.types ?? UPLOAD_TYPES).find((type) => type === sniffed);
  if (!mimeType) return { ok: false, reason: 'unsupported', mimeType: sniffed };
  const header = await readHeader(content, mimeType);
  if (!header) return { ok: false, reason: 'truncated' };
  const { width, height, frames } = header;
  if (Math.max(width, height) > maxSide || width * height * frames > maxPixels) {
    return { ok: false, reason: 'too-many-pixels', width, height };
  }
  if (!header.complete || (limits.decode && !(await decodes(content, maxPixels)))) {
    return { ok: false, reason: 'truncated' };
  }
  return { ok: true, mimeType, width, height, animated: frames > 1 };
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  /** False when the size is known but the decoder refuses what follows. */
  readonly complete: boolean;
}

async function readHeader(content: Content, mimeType: PictureType): Promise<Header | null> {
  try {
    const { width, height, pages } = await sharp(content, { limitInputPixels: false }).metadata();
    return { width, height, frames: pages ?? 1, complete: true };
  } catch {
    // The decoder wants to see pixel data after a PNG's header; the size stands in the header all the same.
    return mimeType === 'image/png' ? await readPngSize(content) : null;
  }
}

/** Width and height from IHDR, which is always the first chunk of a PNG: at byte 16, each 4 bytes, big-endian. */
async function readPngSize(content: Content): Promise<Header | null> {
  const start =
    typeof content === 'string' ? await readStart(content, 24) : Buffer.from(content.subarray(0, 24));
  if (start.length < 24 || start.toString('latin1', 12, 16) !== 'IHDR') return null;
  return { width: start.readUInt32BE(16), height: start.readUInt32BE(20), frames: 1, complete: false };
}

async function readStart(path: string, bytes: number): Promise<Buffer> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Decodes line by line into a tiny picture, so that memory stays small whatever the size. */
async function decodes(content: Content, maxPixels: number): Promise<boolean> {
  try {
    await sharp(content, { failOn: 'truncated', sequentialRead: true, limitInputPixels: maxPixels })
      .resize(16, 16, { fit: 'fill' })
      .raw()
      .toBuffer();
    return true;
  } catch {
    return false;
  }
}
