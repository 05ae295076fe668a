/**
 * Request bodies of which the recordings keep only the beginning, made whole again: same beginning, same length, and
 * pictures that decode. The pictures of the recordings are uncompressed noise, so zeros can stand for the missing pixels.
 */
import { crc32 } from 'node:zlib';
import { isRecord, type RecordedRequest } from './recording.ts';

const IDAT_AT = 33;

/** A PNG that begins with `head` and whose one IDAT chunk holds one stored deflate block, as in the recordings. */
export function completePng(head: Buffer): Buffer {
  const length = head.readUInt32BE(IDAT_AT);
  const data = Buffer.alloc(length);
  head.copy(data, 0, IDAT_AT + 8, Math.min(head.length, IDAT_AT + 8 + length));
  const pixels = data.readUInt16LE(3);
  // Two bytes zlib header, five bytes block header, the rows, four bytes checksum.
  data.writeUInt32BE(adler32(data.subarray(7, 7 + pixels)), 7 + pixels);
  return Buffer.concat([head.subarray(0, IDAT_AT), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type: string, data: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const whole = Buffer.alloc(typed.length + 8);
  whole.writeUInt32BE(data.length, 0);
  typed.copy(whole, 4);
  whole.writeUInt32BE(crc32(typed), typed.length + 4);
  return whole;
}

function adler32(data: Buffer): number {
  let a = 1;
  let b = 0;
  for (const byte of data) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return b * 65536 + a;
}

/** A multipart body whose file part was cut; `fields` are the form fields that followed the file. */
export function completeUpload(
  request: RecordedRequest,
  fields: readonly (readonly [string, string])[],
): Buffer {
  const { head, length } = cut(request.request_body);
  const boundary = /boundary=(\S+)/.exec(request.request_headers['Content-Type'] ?? '')?.[1] ?? '';
  const fileAt = head.indexOf('\r\n\r\n') + 4;
  const parts = fields.map(
    ([name, value]) =>
      `--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const tail = Buffer.from(`\r\n${parts.join('')}--${boundary}--\r\n`);
  const fileLength = length - fileAt - tail.length;
  const beginning = head.subarray(fileAt);
  const isPicture = beginning.subarray(12, 16).toString('latin1') === 'IHDR';
  const file = isPicture
    ? completePng(beginning)
    : Buffer.concat([beginning, Buffer.alloc(fileLength - beginning.length)]);
  if (file.length !== fileLength) {
    throw new Error(
      `${request.label}: the file should have ${fileLength} bytes and has ${file.length}: wrong form fields?`,
    );
  }
  return Buffer.concat([head.subarray(0, fileAt), file, tail]);
}

/** A prompt that ends in the middle of a long text of one letter: the text goes on up to the recorded length. */
export function completeLongText(request: RecordedRequest, ending: string): string {
  const { head, length } = cut(request.request_body);
  const text = head.toString('utf8');
  const letter = text.slice(-1);
  return text + letter.repeat(length - text.length - ending.length) + ending;
}

/** What followed the picture in the prompt of remove_background; the prompt after it in the recording is whole. */
const REST_OF_PROMPT =
  '"}}, "2": {"class_type": "InspyrenetRembg", "inputs": {"image": ["1", 0], "torchscript_jit": "default"}}, ' +
  '"3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}}, ' +
  '"4": {"class_type": "ETN_SendImageWebSocket", "inputs": {"images": ["2", 0], "format": "PNG"}}, ' +
  '"5": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "nobg"}}}, ' +
  '"client_id": "2c98cdf0b24649b0836b7df0813f5474"}';

/** A prompt that ends in the middle of a picture as base64: the picture is completed, then the rest of the prompt follows. */
export function completeBase64Prompt(request: RecordedRequest): string {
  const text = cut(request.request_body).head.toString('utf8');
  const start = text.indexOf('"image": "') + '"image": "'.length;
  const known = text.slice(start, start + Math.floor((text.length - start) / 4) * 4);
  return text.slice(0, start) + completePng(Buffer.from(known, 'base64')).toString('base64') + REST_OF_PROMPT;
}

function cut(body: unknown): { head: Buffer; length: number } {
  if (!isRecord(body) || body.truncated !== true) throw new Error('this body is not cut');
  const head =
    typeof body.head_base64 === 'string'
      ? Buffer.from(body.head_base64, 'base64')
      : Buffer.from(String(body.head), 'utf8');
  return { head, length: Number(body.length) };
}

/** The form fields that followed the file, by the label of the request. */
const UPLOAD_FIELDS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  'overwrite=true': [['overwrite', 'true']],
  'overwrite=1': [['overwrite', '1']],
  'overwrite=True is not understood': [['overwrite', 'True']],
  subfolder: [['subfolder', 'in/deep']],
  'type temp': [['type', 'temp']],
  'type output': [['type', 'output']],
  'type bogus': [['type', 'bogus']],
  'traversal in subfolder': [['subfolder', '../..']],
  'absolute subfolder': [['subfolder', '/abs']],
};

/** A cut body of upload_variants: an upload, or the long prompt that is too large; undefined for a body that is whole. */
export function completeVariant(request: RecordedRequest): Buffer | string | undefined {
  const body = request.request_body;
  if (!isRecord(body) || body.truncated !== true) return undefined;
  if (typeof body.head === 'string') return completeLongText(request, '"}}}}');
  return completeUpload(request, UPLOAD_FIELDS[request.label ?? ''] ?? []);
}
