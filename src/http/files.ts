/**
 * /files: outputs and uploads, thumbnails of them, and previews of running jobs. A signed address is the only
 * credential. What is sent is what the gateway found the bytes to be, and never runs in a browser.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { fileAccess, previewAccess, THUMBNAIL_WIDTHS, thumbnailAccess } from '../graphql/file-urls.ts';
import { decodeGlobalId } from '../graphql/global-id.ts';
import type { Services } from '../graphql/services.ts';
import { Gate } from '../lib/gate.ts';
import { safeContentType } from '../storage/content-type.ts';
import type { SignedPath } from '../storage/signed-url.ts';
import { thumbnail } from '../storage/thumbnail.ts';
import { findOutput } from '../store/outputs.ts';
import { findUpload } from '../store/uploads.ts';
import { type ServedFile, sendBlob, setFileHeaders } from './send-blob.ts';

/** Pictures larger than this get no thumbnail. */
const LARGEST_PICTURE_BYTES = 64 * 1024 * 1024;
/** Each takes much memory. */
const THUMBNAILS_AT_ONCE = 4;

export function addFileRoutes(app: FastifyInstance, services: Services): void {
  const thumbnails = new Gate(THUMBNAILS_AT_ONCE);
  app.route<{ Params: { id: string } }>({
    method: ['GET', 'HEAD'],
    url: '/files/:id',
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      const { id } = request.params;
      const width = widthOf(request);
      const maxAge = allowed(services, request, width === null ? fileAccess(id) : thumbnailAccess(id, width));
      if (maxAge === null) return refuse(reply);
      const file = await findFile(services, id);
      if (!file) return missing(reply);
      if (width === null) return sendBlob(services.storage, file, maxAge, request, reply);
      return thumbnails.run(() => sendThumbnail(services, file, width, maxAge, request, reply));
    },
  });
  app.route<{ Params: { jobId: string } }>({
    method: ['GET', 'HEAD'],
    url: '/files/preview/:jobId',
    exposeHeadRoute: false,
    handler: (request, reply) => sendPreview(services, request.params.jobId, request, reply),
  });
}

/** Seconds until the address expires; null when it is forged or expired. */
function allowed({ signer, clock }: Services, request: FastifyRequest, path: SignedPath): number | null {
  const query = request.url.split('?', 2)[1] ?? '';
  const now = clock.now();
  if (signer.verify(path, query, now) !== 'ok') return null;
  return Math.max(0, Math.floor(Number(new URLSearchParams(query).get('exp')) - now / 1000));
}

function refuse(reply: FastifyReply): FastifyReply {
  return reply
    .code(403)
    .header('cache-control', 'no-store')
    .send({ code: 'FORBIDDEN', message: 'the address is not signed by this gateway, or it has expired' });
}

function missing(reply: FastifyReply): FastifyReply {
  const message = 'there is no such file';
  return reply.code(404).header('cache-control', 'no-store').send({ code: 'NOT_FOUND', message });
}

function widthOf(request: FastifyRequest): number | null {
  const width = new URLSearchParams(request.url.split('?', 2)[1] ?? '').get('w');
  if (width === null) return null;
  const pixels = Number(width);
  const valid = Number.isInteger(pixels) && pixels >= THUMBNAIL_WIDTHS.min && pixels <= THUMBNAIL_WIDTHS.max;
  return valid ? pixels : 0;
}

/** Of any tenant: the signature stands for the right to see it. */
async function findFile({ store }: Services, id: string): Promise<ServedFile | null> {
  const decoded = decodeGlobalId(id);
  if (decoded?.type === 'UploadedImage') {
    const upload = await findUpload(store.db, 'any', decoded.id);
    return upload && { ...upload, ...served(upload.mimeType, upload.filename) };
  }
  if (decoded?.type !== 'ImageOutput' && decoded?.type !== 'FileOutput') return null;
  const output = await findOutput(store.db, 'any', decoded.id);
  if (!output || output.sha256 === null) return null;
  const { tenant, sha256, filename, mimeType } = output;
  return { tenant, sha256, filename, ...served(mimeType, filename) };
}

/** Only pictures, films and sounds show in a page; everything else is saved. */
function served(mimeType: string, filename: string | null): { mimeType: string; inline: boolean } {
  const safe = safeContentType(mimeType, filename);
  return { mimeType: safe.mimeType, inline: safe.inline && /^(image|video|audio)\//.test(safe.mimeType) };
}

async function sendThumbnail(
  { storage, config }: Services,
  file: ServedFile,
  width: number,
  maxAge: number,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const etag = `"${file.sha256}-${width}"`;
  if (request.headers['if-none-match'] === etag) {
    return setFileHeaders(reply, { etag, maxAge }).code(304).send();
  }
  const picture = await storage.toBuffer(file.tenant, file.sha256, LARGEST_PICTURE_BYTES);
  const small = picture && (await thumbnail(picture, width, { maxPixels: config.maxUploadPixels * 4 }));
  if (!small) return missing(reply);
  return setFileHeaders(reply, { etag, maxAge }).type('image/webp').send(small);
}

async function sendPreview(
  { bus, signer, clock }: Services,
  jobId: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const query = request.url.split('?', 2)[1] ?? '';
  const revision = Number(new URLSearchParams(query).get('rev') ?? Number.NaN);
  if (signer.verify(previewAccess(jobId, revision), query, clock.now()) !== 'ok') return refuse(reply);
  const found = await bus.previewImage(jobId);
  if (!found) return missing(reply);
  const { preview, image } = found;
  setFileHeaders(reply, { etag: `"${jobId}-${preview.revision}"`, maxAge: 3600 });
  // Only the newest picture is kept: who asks for an older one gets it, but must not keep it under that address.
  if (preview.revision !== revision) reply.header('cache-control', 'no-store');
  const type = /^image\/(png|jpeg|webp)$/.test(preview.mimeType)
    ? preview.mimeType
    : 'application/octet-stream';
  return reply.type(type).send(Buffer.from(image));
}
