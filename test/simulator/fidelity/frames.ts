/** Says what is in a binary frame or a file, without its bytes: kind and pixel size of pictures, ids, texts. */

/** A frame as both sides of a comparison describe it. */
export type Frame = Readonly<Record<string, unknown>>;

const KINDS: readonly (readonly [kind: string, magic: RegExp])[] = [
  ['png', /^89504e470d0a1a0a/],
  ['jpeg', /^ffd8ff/],
  ['webp', /^52494646.{8}57454250/],
  ['webm', /^1a45dfa3/],
  ['mp4', /^.{8}66747970/],
  ['flac', /^664c6143/],
  ['mp3', /^(494433|fff[a-f])/],
];

/** What kind of file begins with these bytes, with the pixel size where a PNG header tells it. */
export function fileKind(head: Buffer): string {
  const hex = head.subarray(0, 16).toString('hex');
  const kind = KINDS.find(([, magic]) => magic.test(hex))?.[0] ?? 'other';
  if (kind !== 'png' || head.length < 24) return kind;
  return `png ${head.readUInt32BE(16)}x${head.readUInt32BE(20)}`;
}

/** The texts a PNG carries (ComfyUI puts the prompt there), by key; undefined for anything but a whole PNG. */
export function pngTexts(file: Buffer): Record<string, string> | undefined {
  if (!fileKind(file).startsWith('png')) return undefined;
  const texts: Record<string, string> = {};
  for (let at = 8; at + 8 <= file.length; at += file.readUInt32BE(at) + 12) {
    if (file.toString('latin1', at + 4, at + 8) !== 'tEXt') continue;
    const [key = '', text = ''] = file.toString('latin1', at + 8, at + 8 + file.readUInt32BE(at)).split('\0');
    texts[key] = text;
  }
  return texts;
}

/** Takes a frame apart as ComfyUI 0.3.64 lays it out (observed): 4 bytes event, then what the event prescribes. */
export function describeFrame(frame: Buffer): Frame {
  const event = frame.readUInt32BE(0);
  if (event === 1) {
    return { event, format: frame.readUInt32BE(4), picture: fileKind(frame.subarray(8)) };
  }
  if (event === 3) {
    const length = frame.readUInt32BE(4);
    return {
      event,
      node_id: frame.subarray(8, 8 + length).toString('utf8'),
      text: frame.subarray(8 + length).toString('utf8'),
    };
  }
  if (event === 4) {
    const length = frame.readUInt32BE(4);
    return {
      event,
      metadata: JSON.parse(frame.subarray(8, 8 + length).toString('utf8')),
      picture: fileKind(frame.subarray(8 + length)),
    };
  }
  return { event };
}
