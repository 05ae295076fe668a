/** Sends a stored file as HTTP wants it: whole or a range, conditional, cacheable for as long as its address holds. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import rangeParser from 'range-parser';
import type { BlobStore, ByteRange } from '../storage/blob-store.ts';

export interface ServedFile {
  readonly tenant: string;
  readonly sha256: string;
  readonly filename: string | null;
  readonly mimeType: string;
  /** May show in a page; otherwise browsers save it. */
  readonly inline: boolean;
}

/** `maxAge` in seconds. */
export function setFileHeaders(
  reply: FastifyReply,
  { etag, maxAge }: { readonly etag: string; readonly maxAge: number },
): FastifyReply {
  return reply
    .header('etag', etag)
    .header('cache-control', `public, max-age=${maxAge}, immutable`)
    .header('x-content-type-options', 'nosniff')
    .header('content-security-policy', "default-src 'none'; sandbox")
    .header('cross-origin-resource-policy', 'cross-origin');
}

export async function sendBlob(
  storage: BlobStore,
  file: ServedFile,
  maxAge: number,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const etag = `"${file.sha256}"`;
  // Nothing is said of the file before it is open: an error must not carry its headers.
  const isPlain = request.method === 'GET' && request.headers.range === undefined;
  const whole = isPlain && !isKnown(request, etag) ? await storage.open(file.tenant, file.sha256) : null;
  const bytes = whole?.total ?? (await storage.stat(file.tenant, file.sha256))?.bytes;
  if (bytes === undefined) return gone(reply);
  if (isKnown(request, etag)) return setFileHeaders(reply, { etag, maxAge }).code(304).send();
  const range = rangeOf(request, bytes, etag);
  if (range === 'unsatisfiable') {
    return reply
      .code(416)
      .header('etag', etag)
      .header('accept-ranges', 'bytes')
      .header('cache-control', 'no-store')
      .header('content-range', `bytes */${bytes}`)
      .send();
  }
  const isHead = request.method === 'HEAD';
  const blob = whole ?? (isHead ? null : await storage.open(file.tenant, file.sha256, range ?? undefined));
  if (!blob && !isHead) return gone(reply);
  setFileHeaders(reply, { etag, maxAge })
    .header('accept-ranges', 'bytes')
    .header('content-length', range ? range.end - range.start + 1 : bytes)
    .header('content-disposition', disposition(file))
    .type(file.mimeType);
  if (range) reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${bytes}`);
  return blob ? reply.send(blob.stream) : reply.send();
}

function gone(reply: FastifyReply): FastifyReply {
  const message = 'the file is no longer stored';
  return reply.code(404).header('cache-control', 'no-store').send({ code: 'NOT_FOUND', message });
}

function isKnown(request: FastifyRequest, etag: string): boolean {
  return matchesAny(request.headers['if-none-match'], etag);
}

/** Several ranges, and ranges of another version, are answered with the whole file, as HTTP allows. */
function rangeOf(request: FastifyRequest, bytes: number, etag: string): ByteRange | 'unsatisfiable' | null {
  const { range, 'if-range': ifRange } = request.headers;
  if (range === undefined || (ifRange !== undefined && ifRange !== etag)) return null;
  const parsed = rangeParser(bytes, range, { combine: true });
  if (parsed === -1) return 'unsatisfiable';
  if (parsed === -2 || parsed.type !== 'bytes' || parsed.length !== 1) return null;
  const [only] = parsed;
  return only ? { start: only.start, end: only.end } : null;
}

function matchesAny(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((each) => each.trim().replace(/^W\//, '') === etag || each.trim() === '*');
}

/** The client's or ComfyUI's name for it, made harmless; the second form carries letters beyond ASCII. */
function disposition({ filename, inline }: ServedFile): string {
  const kind = inline ? 'inline' : 'attachment';
  if (filename === null) return kind;
  const plain = filename.replace(/[^\w .()-]/g, '_');
  return `${kind}; filename="${plain}"; filename*=UTF-8''${encodeURIComponent(filename).replace(/['()*]/g, escaped)}`;
}

function escaped(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
