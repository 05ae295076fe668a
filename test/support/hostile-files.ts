/** Files an enemy hands out as results: bombs, liars, files that end early or never. */
import type { ServerResponse } from 'node:http';
import { crc32, deflateSync } from 'node:zlib';
import { endless, hang, type Spite } from './hostile-http.ts';
import { oneOf } from './hostile-json.ts';

type Serving = (response: ServerResponse, spite: Spite) => void;

/** A correct grey picture. */
export const SMALL_PICTURE = png(16, 16, Buffer.alloc(16 * 17, 0x40));

/** Answers GET /view. */
export function serveFile(response: ServerResponse, spite: Spite, honest: boolean): void {
  if (honest) {
    send(response, 'image/png', SMALL_PICTURE);
    return;
  }
  const [kind, serving] = oneOf(spite.random, FILES);
  spite.note(kind);
  serving(response, spite);
}

const FILES: readonly [[string, Serving], ...[string, Serving][]] = [
  ['file: missing', (response) => void response.writeHead(404).end()],
  ['file: bomb', (response) => send(response, 'image/png', bomb())],
  [
    'file: huge sides',
    (response) => send(response, 'image/png', png(0x7fffffff, 0x7fffffff, Buffer.alloc(64))),
  ],
  ['file: impossible sides', (response) => send(response, 'image/png', png(0xffffffff, 0, Buffer.alloc(1)))],
  ['file: header only', (response) => send(response, 'image/png', SMALL_PICTURE.subarray(0, 30))],
  [
    'file: page as picture',
    (response) => send(response, 'image/png', Buffer.from('<html><script>1</script>')),
  ],
  ['file: drawing with script', (response) => send(response, 'image/svg+xml', Buffer.from(DRAWING))],
  [
    'file: picture and page',
    (response) => send(response, 'text/html', Buffer.concat([SMALL_PICTURE, Buffer.from('<script>')])),
  ],
  ['file: empty', (response) => send(response, 'image/png', Buffer.alloc(0))],
  ['file: noise', (response, spite) => send(response, 'video/mp4', noise(spite))],
  ['file: cut short', (response) => cutShort(response)],
  ['file: no end', (response, spite) => endless(response, spite)],
  ['file: silence', (response, spite) => hang(response, spite)],
  ['file: reset', (response) => response.destroy()],
];

const DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>';

function send(response: ServerResponse, type: string, bytes: Uint8Array): void {
  response.writeHead(200, { 'content-type': type, 'content-length': bytes.length });
  response.end(bytes);
}

function cutShort(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'image/png', 'content-length': SMALL_PICTURE.length });
  response.write(SMALL_PICTURE.subarray(0, SMALL_PICTURE.length / 2));
  setImmediate(() => response.destroy());
}

function noise({ random }: Spite): Buffer {
  return Buffer.from(Array.from({ length: 5000 }, () => Math.floor(random() * 256)));
}

let packed: Buffer | undefined;

/** Some 60 kB that unpack to 64 MB of pixels. */
function bomb(): Buffer {
  packed ??= png(8000, 8000, Buffer.alloc(8000 * 8001));
  return packed;
}

/** A grey PNG of these sides with these (filtered) rows, right or wrong. */
function png(width: number, height: number, rows: Buffer): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 0, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(named) >>> 0);
  return Buffer.concat([size, named, sum]);
}
