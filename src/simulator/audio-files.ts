/** Small but well-formed FLAC and MP3 files of silence, with the prompt as a tag where the format has tags. */

export interface Sound {
  readonly seconds: number;
  readonly sampleRate: number;
  readonly channels: number;
}

const BLOCK = 4096;

/** FLAC: stream info, the tags as a Vorbis comment, then frames of constant (silent) subframes, 16 bit. */
export function flac(sound: Sound, tags: readonly (readonly [string, string])[]): Buffer {
  const samples = Math.round(sound.seconds * sound.sampleRate);
  const info = Buffer.alloc(34);
  info.writeUInt16BE(BLOCK, 0);
  info.writeUInt16BE(BLOCK, 2);
  // 20 bits sample rate, 3 bits channels - 1, 5 bits sample size - 1, 36 bits number of samples
  const packed =
    (BigInt(sound.sampleRate) << 44n) | (BigInt(sound.channels - 1) << 41n) | (15n << 36n) | BigInt(samples);
  info.writeBigUInt64BE(packed, 10);
  const frames: Buffer[] = [];
  for (let at = 0, number = 0; at < samples; at += BLOCK, number += 1) {
    frames.push(flacFrame(number, Math.min(BLOCK, samples - at), sound.channels));
  }
  return Buffer.concat([
    Buffer.from('fLaC'),
    metadata(0, info, false),
    metadata(4, comments(tags), true),
    ...frames,
  ]);
}

function metadata(type: number, body: Buffer, last: boolean): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length, 0);
  head[0] = type | (last ? 0x80 : 0);
  return Buffer.concat([head, body]);
}

function comments(tags: readonly (readonly [string, string])[]): Buffer {
  const sized = (text: string): Buffer => {
    const bytes = Buffer.from(text, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length, 0);
    return Buffer.concat([length, bytes]);
  };
  const count = Buffer.alloc(4);
  count.writeUInt32LE(tags.length, 0);
  return Buffer.concat([
    sized('comfyui simulator'),
    count,
    ...tags.map(([key, value]) => sized(`${key}=${value}`)),
  ]);
}

function flacFrame(number: number, size: number, channels: number): Buffer {
  // Fixed block size, 16 bit length in the header, sample rate and size from the stream info.
  const length = Buffer.alloc(2);
  length.writeUInt16BE(size - 1, 0);
  const head = Buffer.concat([
    Buffer.from([0xff, 0xf8, 0x70, ((channels - 1) << 4) | 0x08]),
    utf8Number(number),
    length,
  ]);
  const silent = Buffer.alloc(3 * channels);
  const frame = Buffer.concat([head, Buffer.from([crc(head, 8, 0x07)]), silent]);
  const check = Buffer.alloc(2);
  check.writeUInt16BE(crc(frame, 16, 0x8005), 0);
  return Buffer.concat([frame, check]);
}

/** Frame numbers are coded like code points. */
function utf8Number(number: number): Buffer {
  return Buffer.from(String.fromCodePoint(number), 'utf8');
}

function crc(bytes: Buffer, width: 8 | 16, polynomial: number): number {
  const top = 1 << (width - 1);
  const all = width === 8 ? 0xff : 0xffff;
  let value = 0;
  for (const byte of bytes) {
    value ^= byte << (width - 8);
    for (let bit = 0; bit < 8; bit += 1) value = (value & top ? (value << 1) ^ polynomial : value << 1) & all;
  }
  return value;
}

/** Bytes and samples of one 32 kbit/s MPEG-1 layer III frame at 44.1 kHz; all zero behind the header is silence. */
const MP3_FRAME = 104;
const MP3_SAMPLES = 1152;

export function mp3(sound: Sound, tags: readonly (readonly [string, string])[]): Buffer {
  const frame = Buffer.alloc(MP3_FRAME);
  frame.set([0xff, 0xfb, 0x10, 0x00]);
  const count = Math.max(1, Math.ceil((sound.seconds * 44_100) / MP3_SAMPLES));
  return Buffer.concat([id3(tags), ...Array.from({ length: count }, () => frame)]);
}

function id3(tags: readonly (readonly [string, string])[]): Buffer {
  const sizeOf = (size: number): number[] => [
    (size >> 21) & 127,
    (size >> 14) & 127,
    (size >> 7) & 127,
    size & 127,
  ];
  const frames = tags.map(([key, value]) => {
    const body = Buffer.from(`\u0003${key}\0${value}`, 'utf8');
    return Buffer.concat([Buffer.from('TXXX'), Buffer.from([...sizeOf(body.length), 0, 0]), body]);
  });
  const body = Buffer.concat(frames);
  return Buffer.concat([Buffer.from('ID3'), Buffer.from([4, 0, 0, ...sizeOf(body.length)]), body]);
}
