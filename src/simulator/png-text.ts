/**
 * PNG files as ComfyUI saves them: the prompt and the client's extra entries as text chunks in front of the pixels,
 * so two jobs that differ only in their file prefix have different bytes. Compressed pixels are remembered per
 * buffer: a picture saved and shown again is not compressed again.
 */
import { promisify } from 'node:util';
import { deflate, deflateSync, crc32 as zlibCrc32 } from 'node:zlib';
import type { Picture } from './pictures.ts';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const COLOR_TYPES = { 1: 0, 3: 2, 4: 6 } as const;
const deflateAsync = promisify(deflate);
/** Below this many bytes a trip to the thread pool costs more than the compression. */
const SMALL = 64 * 1024;
const compressed = new WeakMap<Buffer, Buffer>();

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

function tableCrc32(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 255] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
/** zlib.crc32 came with Node 20.15; older ones use the table. */
const crc32: (bytes: Buffer) => number = typeof zlibCrc32 === 'function' ? zlibCrc32 : tableCrc32;

export function pngChunk(type: string, data: Buffer): Buffer {
  const chunk = Buffer.allocUnsafe(data.length + 12);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, 'latin1');
  data.copy(chunk, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return chunk;
}

export function pngHeader(picture: Picture): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(picture.width, 0);
  header.writeUInt32BE(picture.height, 4);
  header[8] = 8;
  header[9] = COLOR_TYPES[picture.channels];
  return pngChunk('IHDR', header);
}

/** The zlib stream of the picture's rows (filter 0). */
export async function pngPixels(picture: Picture): Promise<Buffer> {
  const known = compressed.get(picture.data);
  if (known) return known;
  const row = picture.width * picture.channels;
  const raw = Buffer.alloc((row + 1) * picture.height);
  for (let y = 0; y < picture.height; y += 1) {
    picture.data.copy(raw, y * (row + 1) + 1, y * row, (y + 1) * row);
  }
  const stream = raw.length < SMALL ? deflateSync(raw, { level: 4 }) : await deflateAsync(raw, { level: 3 });
  compressed.set(picture.data, stream);
  return stream;
}

/** A whole PNG file with the given text chunks in front of the pixels. */
export async function encodePng(
  picture: Picture,
  texts: readonly (readonly [string, string])[] = [],
): Promise<Buffer> {
  const pixels = await pngPixels(picture);
  return Buffer.concat([
    SIGNATURE,
    pngHeader(picture),
    ...texts.map(([key, text]) => pngChunk('tEXt', Buffer.from(`${key}\0${text}`, 'latin1'))),
    pngChunk('IDAT', pixels),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

/** An animated PNG: every picture of the batch is a frame. */
export async function encodeApng(pictures: readonly Picture[], fps: number): Promise<Buffer> {
  const first = pictures[0];
  if (!first) return Buffer.alloc(0);
  const control = Buffer.alloc(8);
  control.writeUInt32BE(pictures.length, 0);
  const chunks = [SIGNATURE, pngHeader(first), pngChunk('acTL', control)];
  let sequence = 0;
  for (const [index, picture] of pictures.entries()) {
    chunks.push(pngChunk('fcTL', frameControl(picture, sequence, fps)));
    sequence += 1;
    const pixels = await pngPixels(picture);
    if (index === 0) chunks.push(pngChunk('IDAT', pixels));
    else {
      const number = Buffer.alloc(4);
      number.writeUInt32BE(sequence, 0);
      sequence += 1;
      chunks.push(pngChunk('fdAT', Buffer.concat([number, pixels])));
    }
  }
  return Buffer.concat([...chunks, pngChunk('IEND', Buffer.alloc(0))]);
}

function frameControl(picture: Picture, sequence: number, fps: number): Buffer {
  const control = Buffer.alloc(26);
  control.writeUInt32BE(sequence, 0);
  control.writeUInt32BE(picture.width, 4);
  control.writeUInt32BE(picture.height, 8);
  control.writeUInt16BE(Math.round(1000 / fps), 20);
  control.writeUInt16BE(1000, 22);
  return control;
}
