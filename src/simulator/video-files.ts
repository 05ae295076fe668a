/**
 * Videos that play: WebM with VP8 key frames (taken out of lossy WebP pictures, which hold exactly that) and MP4 with
 * JPEG frames. Real encoders would be a large dependency for a simulator.
 */
import { type Picture, raw } from './pictures.ts';

/** Moving pictures and their rate. */
export interface Video {
  readonly kind: 'video';
  readonly pictures: readonly Picture[];
  readonly fps: number;
}

function ebml(id: string, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(body.length) | (1n << 56n), 0);
  return Buffer.concat([Buffer.from(id, 'hex'), size, body]);
}
function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

/** The VP8 bitstream of a lossy WebP file. */
async function vp8(picture: Picture): Promise<Buffer> {
  const file = await raw(picture).removeAlpha().webp({ quality: 70, effort: 0 }).toBuffer();
  let at = 12;
  while (at + 8 <= file.length) {
    const size = file.readUInt32LE(at + 4);
    if (file.toString('latin1', at, at + 4) === 'VP8 ') return file.subarray(at + 8, at + 8 + size);
    at += 8 + size + (size % 2);
  }
  return Buffer.alloc(0);
}

export async function webm({ pictures, fps }: Video): Promise<Buffer> {
  const [first] = pictures;
  const frames = await Promise.all(pictures.map(vp8));
  const duration = Buffer.alloc(8);
  duration.writeDoubleBE((1000 * pictures.length) / fps, 0);
  const head = ebml(
    '1a45dfa3',
    ebml('4286', number(1)),
    ebml('42f7', number(1)),
    ebml('42f2', number(4)),
    ebml('42f3', number(8)),
    ebml('4282', Buffer.from('webm')),
    ebml('4287', number(2)),
    ebml('4285', number(2)),
  );
  const app = Buffer.from('comfyui simulator');
  const info = ebml(
    '1549a966',
    ebml('2ad7b1', number(1_000_000)),
    ebml('4489', duration),
    ebml('4d80', app),
    ebml('5741', app),
  );
  const size = ebml('e0', ebml('b0', number(first?.width ?? 0)), ebml('ba', number(first?.height ?? 0)));
  const track = ebml(
    'ae',
    ebml('d7', number(1)),
    ebml('73c5', number(1)),
    ebml('83', number(1)),
    ebml('86', Buffer.from('V_VP8')),
    size,
  );
  const blocks = frames.map((frame, index) => {
    const time = Buffer.alloc(2);
    time.writeInt16BE(Math.min(32_767, Math.round((1000 * index) / fps)), 0);
    return ebml('a3', Buffer.from([0x81]), time, Buffer.from([0x80]), frame);
  });
  return Buffer.concat([
    head,
    ebml('18538067', info, ebml('1654ae6b', track), ebml('1f43b675', ebml('e7', number(0)), ...blocks)),
  ]);
}

function box(type: string, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([number(body.length + 8), Buffer.from(type, 'latin1'), body]);
}
/** Big-endian numbers one after another; bytes is the size of each. */
function fields(...values: readonly (readonly [bytes: 1 | 2 | 4, value: number])[]): Buffer {
  return Buffer.concat(
    values.map(([bytes, value]) => {
      const field = Buffer.alloc(bytes);
      field.writeUIntBE(value, 0, bytes);
      return field;
    }),
  );
}
const full = (type: string, ...content: readonly Buffer[]): Buffer => box(type, number(0), ...content);
const zeros = (bytes: number): Buffer => Buffer.alloc(bytes);
const MATRIX = fields(
  [4, 0x10000],
  [4, 0],
  [4, 0],
  [4, 0],
  [4, 0x10000],
  [4, 0],
  [4, 0],
  [4, 0],
  [4, 0x40000000],
);
const TIME_SCALE = 1000;

export async function mp4({ pictures, fps }: Video): Promise<Buffer> {
  const frames = await Promise.all(
    pictures.map((picture) => raw(picture).removeAlpha().jpeg({ quality: 75 }).toBuffer()),
  );
  const start = box('ftyp', Buffer.from('isom'), number(0x200), Buffer.from('isomiso2mp41'));
  const movie = box('mdat', ...frames);
  return Buffer.concat([start, movie, movieHeader(frames, pictures[0], fps, start.length + 8)]);
}

function movieHeader(
  frames: readonly Buffer[],
  first: Picture | undefined,
  fps: number,
  dataAt: number,
): Buffer {
  const width = first?.width ?? 0;
  const height = first?.height ?? 0;
  const tick = Math.round(TIME_SCALE / fps);
  const duration = tick * frames.length;
  const mvhd = full(
    'mvhd',
    fields([4, 0], [4, 0], [4, TIME_SCALE], [4, duration], [4, 0x10000], [2, 0x100]),
    zeros(10),
    MATRIX,
    zeros(24),
    number(2),
  );
  const tkhd = box(
    'tkhd',
    number(7),
    fields([4, 0], [4, 0], [4, 1], [4, 0], [4, duration]),
    zeros(16),
    MATRIX,
    fields([4, width << 16], [4, height << 16]),
  );
  const mdhd = full('mdhd', fields([4, 0], [4, 0], [4, TIME_SCALE], [4, duration], [2, 0x55c4], [2, 0]));
  const hdlr = full('hdlr', number(0), Buffer.from('vide'), zeros(12), Buffer.from('video\0'));
  const dinf = box('dinf', full('dref', number(1), box('url ', number(1))));
  const sizes = full(
    'stsz',
    number(0),
    number(frames.length),
    ...frames.map((frame) => number(frame.length)),
  );
  const table = box(
    'stbl',
    full('stsd', number(1), sampleEntry(width, height)),
    full('stts', fields([4, 1], [4, frames.length], [4, tick])),
    full('stsc', fields([4, 1], [4, 1], [4, frames.length], [4, 1])),
    sizes,
    full('stco', fields([4, 1], [4, dataAt])),
  );
  const minf = box('minf', box('vmhd', number(1), zeros(8)), dinf, table);
  return box('moov', mvhd, box('trak', tkhd, box('mdia', mdhd, hdlr, minf)));
}

/** "mp4v" with object type 0x6c: JPEG. */
function sampleEntry(width: number, height: number): Buffer {
  const decoder = Buffer.concat([Buffer.from([0x04, 13, 0x6c, 0x11]), zeros(11)]);
  const descriptor = Buffer.concat([
    Buffer.from([0x03, 3 + decoder.length + 3, 0, 1, 0]),
    decoder,
    Buffer.from([0x06, 1, 2]),
  ]);
  const size = fields([2, width], [2, height], [4, 0x480000], [4, 0x480000], [4, 0], [2, 1]);
  return box(
    'mp4v',
    zeros(6),
    fields([2, 1]),
    zeros(16),
    size,
    zeros(32),
    fields([2, 24], [2, 0xffff]),
    full('esds', descriptor),
  );
}
