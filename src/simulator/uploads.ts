/** POST /upload/image and /upload/mask, with ComfyUI's way of renaming and its odd statuses. */
import { mkdir, writeFile } from 'node:fs/promises';
import { extname, join, normalize, resolve } from 'node:path';
import { Readable } from 'node:stream';
import busboy from 'busboy';
import sharp from 'sharp';
import { annotated, type Files, isBelow, isFile, isFolderType, readIfThere } from './files.ts';
import { PythonError } from './python-error.ts';
import { isObject, parseJson } from './python-json.ts';
import { type Exchange, sendEmpty, sendJson } from './reply.ts';

interface Form {
  readonly fields: Map<string, string>;
  image: { readonly filename: string; readonly bytes: Buffer } | undefined;
}

/** Throws PythonError for what aiohttp cannot parse; an empty form when it is not multipart at all. */
function readForm(contentType: string | undefined, body: Buffer): Promise<Form> {
  const form: Form = { fields: new Map(), image: undefined };
  if (!contentType?.startsWith('multipart/')) return Promise.resolve(form);
  return new Promise((done, fail) => {
    const broken = (error: unknown): void => fail(new PythonError('ValueError', String(error)));
    try {
      const parser = busboy({
        headers: { 'content-type': contentType },
        preservePath: true,
        defParamCharset: 'utf8',
      });
      parser.on('field', (name, value) => form.fields.set(name, value));
      parser.on('file', (name, stream, info) => {
        const parts: Buffer[] = [];
        stream.on('data', (part: Buffer) => parts.push(part));
        stream.on('end', () => {
          if (name === 'image') form.image = { filename: info.filename ?? '', bytes: Buffer.concat(parts) };
        });
      });
      parser.on('error', broken);
      parser.on('close', () => done(form));
      Readable.from([body]).pipe(parser);
    } catch (error) {
      broken(error);
    }
  });
}

/** Stores an upload. Throws PythonError where ComfyUI answers 500. */
export async function upload(
  exchange: Exchange,
  body: Buffer,
  files: Files,
  alwaysRename: boolean,
): Promise<void> {
  const form = await readForm(exchange.request.headers['content-type'], body);
  const type = form.fields.get('type') ?? 'input';
  if (!isFolderType(type))
    throw new PythonError('TypeError', 'expected str, bytes or os.PathLike object, not NoneType');
  if (!form.image) {
    if (form.fields.has('image'))
      throw new PythonError('AttributeError', "'str' object has no attribute 'file'");
    return sendEmpty(exchange, 400);
  }
  const { filename, bytes } = form.image;
  if (filename === '') return sendEmpty(exchange, 400);
  if (filename.startsWith('/')) throw new PythonError('PermissionError', filename);
  const subfolder = form.fields.get('subfolder') ?? '';
  const base = files.folder(type);
  const folder = resolve(base, normalize(subfolder));
  if (!isBelow(base, folder) || !isBelow(base, resolve(folder, filename))) return sendEmpty(exchange, 400);
  await mkdir(folder, { recursive: true });
  const overwrite = ['true', '1'].includes(form.fields.get('overwrite') ?? '');
  const isMask = exchange.path === '/upload/mask';
  const place = overwrite
    ? { name: filename, duplicate: false }
    : await freePlace(folder, filename, bytes, alwaysRename);
  if (!place.duplicate) {
    const stored = isMask ? await masked(form, bytes, files) : bytes;
    if (stored) {
      await writeFile(join(folder, place.name), stored).catch((error: unknown) => {
        throw new PythonError('FileNotFoundError', String(error));
      });
    }
  }
  if (type !== 'input') files.forgetNumbers();
  sendJson(exchange, { name: place.name, subfolder, type });
}

async function freePlace(
  folder: string,
  filename: string,
  bytes: Buffer,
  alwaysRename: boolean,
): Promise<{ name: string; duplicate: boolean }> {
  const extension = extname(filename);
  const stem = filename.slice(0, filename.length - extension.length);
  let name = alwaysRename ? `${stem} (1)${extension}` : filename;
  for (let count = alwaysRename ? 2 : 1; await isFile(join(folder, name)); count += 1) {
    const there = await readIfThere(join(folder, name));
    if (there?.equals(bytes)) return { name, duplicate: true };
    name = `${stem} (${count})${extension}`;
  }
  return { name, duplicate: false };
}

/** The original with the mask's alpha; undefined when the original is missing (then nothing is written, still 200). */
async function masked(form: Form, bytes: Buffer, files: Files): Promise<Buffer | undefined> {
  const reference = parseJson(form.fields.get('original_ref') ?? '');
  const named = isObject(reference) ? reference.filename : undefined;
  if (!isObject(reference) || typeof named !== 'string') throw new PythonError('TypeError', 'original_ref');
  const { name, type } = annotated(named);
  const folderType = type ?? String(reference.type ?? 'output');
  if (name === '' || name.startsWith('/') || name.includes('..') || !isFolderType(folderType))
    return undefined;
  const path = await files.find(folderType, join(String(reference.subfolder ?? ''), name));
  if (path === undefined) return undefined;
  const alpha = await sharp(bytes)
    .ensureAlpha()
    .extractChannel(3)
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { width, height } = alpha.info;
  const original = sharp(path).removeAlpha().resize(width, height, { fit: 'fill' });
  return original
    .joinChannel(alpha.data, { raw: { width, height, channels: 1 } })
    .png()
    .toBuffer();
}
