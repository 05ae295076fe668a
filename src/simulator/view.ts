/** GET /view: which file is meant, as what it is served, and the faults of slow and cut bodies. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import mime from 'mime';
import parseRange from 'range-parser';
import sharp from 'sharp';
import type { Clock } from '../lib/clock.ts';
import type { Faults } from './faults.ts';
import { annotated, type Files, isBelow, isFile, isFolderType, readIfThere } from './files.ts';
import { type Exchange, sendBytes, sendCrash, sendEmpty } from './reply.ts';

/** Served as a download, because a browser would run them. */
const RISKY = new Set(['text/html', 'application/xhtml+xml', 'text/javascript', 'text/css']);

/** Where Python's table differs from the one used here. */
const OWN_TYPES: Readonly<Record<string, string>> = { flac: 'audio/flac' };

export async function view(exchange: Exchange, files: Files, faults: Faults, clock: Clock): Promise<void> {
  const query = exchange.url.searchParams;
  const asked = query.get('filename');
  if (asked === null) return sendEmpty(exchange, 404);
  const { name, type } = annotated(asked);
  if (name === '' || name.startsWith('/') || name.includes('..')) return sendEmpty(exchange, 400);
  const folderType = type ?? query.get('type') ?? 'output';
  if (!isFolderType(folderType)) return sendEmpty(exchange, 400);
  const root = files.folder(folderType);
  const folder = resolve(root, query.get('subfolder') ?? '');
  if (!isBelow(root, folder)) return sendEmpty(exchange, 403);
  const filename = basename(name);
  const path = join(folder, filename);
  if (filename.includes('\0') || !(await isFile(path))) return sendEmpty(exchange, 404);
  exchange.response.setHeader('Content-Disposition', `filename="${encodeHeader(filename)}"`);
  const channel = query.get('channel') ?? 'rgba';
  if (query.has('preview')) {
    return preview(exchange, path, query.get('preview') ?? '', query.get('channel') ?? '');
  }
  if (channel === 'rgb' || channel === 'a') return oneChannel(exchange, path, channel);
  return plainFile(exchange, path, faults, clock);
}

function encodeHeader(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

async function preview(exchange: Exchange, path: string, asked: string, channel: string): Promise<void> {
  const parts = asked.split(';');
  const format = parts[0] === 'jpeg' && !channel.includes('a') ? 'jpeg' : 'webp';
  const digits = parts.at(-1) ?? '';
  const quality = /^\d+$/.test(digits) ? Number(digits) : 90;
  try {
    const bytes = await readIfThere(path);
    let image = sharp(bytes);
    if (quality > 100) throw new RangeError('quality');
    if (format === 'jpeg' || channel === 'rgb') image = image.removeAlpha();
    const out =
      format === 'jpeg'
        ? image.jpeg({ quality: Math.max(1, quality) })
        : image.webp({ quality: Math.max(1, quality) });
    sendBytes(exchange, await out.toBuffer(), `image/${format}`);
  } catch {
    exchange.response.removeHeader('Content-Disposition');
    sendCrash(exchange);
  }
}

async function oneChannel(exchange: Exchange, path: string, channel: 'rgb' | 'a'): Promise<void> {
  try {
    const image = sharp(await readIfThere(path));
    if (channel === 'rgb')
      return sendBytes(exchange, await image.removeAlpha().png().toBuffer(), 'image/png');
    const alpha = await image.ensureAlpha().extractChannel(3).raw().toBuffer({ resolveWithObject: true });
    const { width, height } = alpha.info;
    const black = sharp({ create: { width, height, channels: 3, background: '#000' } });
    const joined = black.joinChannel(alpha.data, { raw: { width, height, channels: 1 } });
    sendBytes(exchange, await joined.png().toBuffer(), 'image/png');
  } catch {
    exchange.response.removeHeader('Content-Disposition');
    sendCrash(exchange);
  }
}

async function plainFile(exchange: Exchange, path: string, faults: Faults, clock: Clock): Promise<void> {
  const { request, response } = exchange;
  const found = await stat(path, { bigint: true });
  const size = Number(found.size);
  const extension = extname(path).slice(1);
  const guessed = OWN_TYPES[extension] ?? mime.getType(extension) ?? 'application/octet-stream';
  response.setHeader('Content-Type', RISKY.has(guessed) ? 'application/octet-stream' : guessed);
  const etag = `"${found.mtimeNs.toString(16)}-${size.toString(16)}"`;
  response.setHeader('ETag', etag);
  response.setHeader('Last-Modified', new Date(Number(found.mtimeMs)).toUTCString());
  if (request.headers['if-none-match']?.includes(etag)) {
    response.writeHead(304);
    response.end();
    return;
  }
  response.setHeader('Accept-Ranges', 'bytes');
  let [start, end] = [0, size - 1];
  const ranges = request.headers.range === undefined ? undefined : parseRange(size, request.headers.range);
  if (ranges === -1) {
    response.writeHead(416, { 'Content-Range': `bytes */${size}`, 'Content-Length': 0 });
    response.end();
    return;
  }
  const range = Array.isArray(ranges) ? ranges[0] : undefined;
  if (range) {
    ({ start, end } = range);
    response.setHeader('Content-Range', `bytes ${start}-${end}/${size}`);
  }
  response.writeHead(range ? 206 : 200, { 'Content-Length': Math.max(0, end - start + 1) });
  if (request.method === 'HEAD' || size === 0) response.end();
  else await sendPart(exchange, path, start, end, faults, clock);
}

async function sendPart(
  { response }: Exchange,
  path: string,
  start: number,
  end: number,
  faults: Faults,
  clock: Clock,
): Promise<void> {
  const { slowBodies, cutBodies } = faults;
  if (slowBodies === null && cutBodies === null) {
    const stream = createReadStream(path, { start, end });
    stream.on('error', () => response.destroy());
    response.on('close', () => stream.destroy());
    stream.pipe(response);
    return;
  }
  const bytes = ((await readIfThere(path)) ?? Buffer.alloc(0)).subarray(start, end + 1);
  const last = cutBodies === null ? bytes.length : Math.min(cutBodies, bytes.length);
  const part = slowBodies === null ? Math.max(1, last) : Math.max(1, Math.ceil(slowBodies / 10));
  for (let at = 0; at < last && !response.destroyed; at += part) {
    if (slowBodies !== null) await tick(clock, response);
    response.write(bytes.subarray(at, Math.min(last, at + part)));
  }
  if (last === bytes.length) response.end();
  // The cut: what was written goes out, then the connection breaks without the announced rest.
  else setImmediate(() => response.destroy());
}

/** A tenth of a second, or until the client goes away. */
function tick(clock: Clock, response: Exchange['response']): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      response.off('close', done);
      resolve();
    };
    const timer = clock.after(100, done);
    response.once('close', done);
  });
}
