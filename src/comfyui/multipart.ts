/**
 * A multipart/form-data body around a stream of known size, so that the upload goes out with a Content-Length and
 * without being held in memory (FormData would need the bytes or a Blob).
 */
import { Readable } from 'node:stream';
import { assert } from '../lib/assert.ts';

export interface MultipartFile {
  readonly field: string;
  /** ASCII letters, digits, dot, dash, underscore: ComfyUI stores what some clients escape literally. */
  readonly filename: string;
  readonly mimeType: string;
  readonly size: number;
  readonly content: Readable;
}

export interface MultipartBody {
  readonly contentType: string;
  readonly contentLength: number;
  readonly body: Readable;
}

/** The body with the text fields first. `boundary` must not occur in the file: pass a random one. */
export function multipartBody(
  fields: Readonly<Record<string, string>>,
  file: MultipartFile,
  boundary: string,
): MultipartBody {
  assert(/^[\w.-]+$/.test(file.filename), 'names of uploads are plain ASCII');
  assert(/^[\w.+-]+\/[\w.+-]+$/.test(file.mimeType), 'the media type of an upload is well formed');
  // it may fail before anybody reads it
  file.content.on('error', () => undefined);
  const texts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const head = Buffer.from(
    `${texts.join('')}--${boundary}\r\nContent-Disposition: form-data; name="${file.field}"; ` +
      `filename="${file.filename}"\r\nContent-Type: ${file.mimeType}\r\n\r\n`,
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    contentLength: head.length + file.size + tail.length,
    body: Readable.from(parts(head, file, tail), { objectMode: false }),
  };
}

/** Why a body ended before its end: the file could not be read, or has not the announced size. Better a broken upload than a wrong file. */
export class UploadSourceError extends Error {}

async function* parts(head: Buffer, file: MultipartFile, tail: Buffer): AsyncGenerator<Buffer> {
  yield head;
  let sent = 0;
  try {
    for await (const chunk of file.content as AsyncIterable<Buffer>) {
      sent += chunk.length;
      if (sent > file.size) break;
      yield chunk;
    }
  } catch (error) {
    throw new UploadSourceError('the file cannot be read', { cause: error });
  }
  if (sent !== file.size) throw new UploadSourceError('the file has another size than announced');
  yield tail;
}
