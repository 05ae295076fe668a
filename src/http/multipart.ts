/**
 * GraphQL multipart requests: files stream straight to whoever reads them, none is held in memory. The parser's own
 * errors, which speak of HTTP, become coded errors here; its silent truncation shows as `truncated`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { GraphQLError } from 'graphql';
import { processRequest, Upload } from 'graphql-upload-minimal';
import type { GraphQLParams } from 'graphql-yoga';
import { badInput, codedError } from '../graphql/coded-error.ts';
import { type ArrivedFile, IncomingFile } from '../graphql/incoming-file.ts';
import type { Clock } from '../lib/clock.ts';
import { isObject } from '../lib/json.ts';

export interface MultipartLimits {
  /** One more than the largest file: the reader notices the excess byte and says what is allowed. */
  readonly maxFileBytes: number;
  readonly maxFiles: number;
  readonly maxFieldBytes: number;
  /** How long a resolver waits for a file's part, in ms: files that come in another order than they are used never come. */
  readonly arrivalMs: number;
}

/** @throws a coded error (400 or 413) for a body that does not follow the specification. */
export async function readMultipart(
  request: IncomingMessage,
  response: ServerResponse,
  limits: MultipartLimits,
  clock: Clock,
): Promise<GraphQLParams> {
  bearLateErrors(request);
  const operations = await processRequest(request, response, {
    maxFieldSize: limits.maxFieldBytes,
    maxFileSize: limits.maxFileBytes,
    maxFiles: limits.maxFiles,
  }).catch((error: unknown) => {
    throw brokenBody(error);
  });
  if (Array.isArray(operations)) throw codedError('BAD_USER_INPUT', 'operations must be one operation', 400);
  const files = new Map<Upload, IncomingFile>();
  return withFiles(operations, (upload) => {
    const known = files.get(upload);
    if (known) {
      known.share();
      return known;
    }
    const file = new IncomingFile(() => arrival(upload, limits.arrivalMs, clock));
    files.set(upload, file);
    return file;
  }) as GraphQLParams;
}

/**
 * The parser fails a second time when it is put away after its first error, and its owner listens only once: without a
 * listener that stays, a broken body would end the process. The request is the only way to it.
 */
function bearLateErrors(request: IncomingMessage): void {
  const pipe = request.pipe.bind(request);
  request.pipe = (destination, options) => {
    destination.on('error', () => undefined);
    return pipe(destination, options);
  };
}

const DEEPEST = 64;

/** Replaces the parser's files by ours, wherever they stand. */
function withFiles(value: unknown, fileOf: (upload: Upload) => IncomingFile, depth = 0): unknown {
  if (depth > DEEPEST) throw codedError('BAD_USER_INPUT', `operations may be ${DEEPEST} levels deep`, 400);
  if (value instanceof Upload) return fileOf(value);
  if (Array.isArray(value)) return value.map((item) => withFiles(item, fileOf, depth + 1));
  if (!isObject(value)) return value;
  const fields = Object.entries(value);
  return Object.fromEntries(fields.map(([key, inner]) => [key, withFiles(inner, fileOf, depth + 1)]));
}

async function arrival(upload: Upload, waitMs: number, clock: Clock): Promise<ArrivedFile> {
  const file = await new Promise<Awaited<Upload['promise']>>((resolve, reject) => {
    const late = 'the file did not come; send files in the order in which they are used';
    const timer = clock.after(waitMs, () => reject(badInput(late)));
    upload.promise.then(resolve, (error: unknown) => reject(brokenBody(error))).finally(() => timer.cancel());
  });
  const stream: Readable & { truncated?: boolean } = file.createReadStream();
  return {
    filename: file.filename ?? null,
    stream: { [Symbol.asyncIterator]: () => chunks(stream) },
    truncated: () => stream.truncated === true,
  };
}

/** A reader that stops early leaves the rest of the file to be skipped, so that the next one can come. */
async function* chunks(stream: Readable): AsyncGenerator<Uint8Array> {
  try {
    yield* stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw brokenBody(error);
  } finally {
    stream.resume();
  }
}

function brokenBody(error: unknown): GraphQLError {
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  const message = error instanceof Error ? error.message : 'broken';
  if (status === 413) return codedError('PAYLOAD_TOO_LARGE', message, 413);
  return codedError('BAD_USER_INPUT', `the multipart body cannot be read: ${message}`, 400);
}
