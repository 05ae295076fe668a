/**
 * Where a picture may come from: a file in the request, an earlier upload, an output, a public URL or a data URI. Here
 * the shape is read; nothing is looked up, fetched or stored.
 */
import { isObject, type Json } from '../lib/json.ts';

/** A file as it streams in with a request. Whoever opened the request ends the stream when nobody read it. */
export interface FileStream {
  /** What the client called it. */
  readonly filename: string | null;
  readonly stream: AsyncIterable<Uint8Array>;
  /** True when the transport cut the file at its own limit. */
  readonly truncated?: () => boolean;
}

/** Exactly one of these. Ids are raw row ids: the GraphQL layer decodes its own. */
export type ImageSource =
  | { readonly upload: FileStream }
  | { readonly uploadId: string }
  | { readonly outputId: string }
  | { readonly url: string }
  | { readonly dataUri: string };

/** A value that was sent for an input: JSON, or an image source whose file still streams. */
export type SentValue = Json | ImageSource;

/** One problem of what a client sent; `path` leads to it from the mutation's input object. */
export interface Issue {
  readonly path: readonly string[];
  readonly message: string;
}

const FIELDS = ['upload', 'uploadId', 'outputId', 'url', 'dataUri'] as const;
const TEXT_FIELDS = ['uploadId', 'outputId', 'url', 'dataUri'] as const;

export type ParsedSource =
  | { readonly ok: true; readonly source: ImageSource }
  | { readonly ok: false; readonly issue: Issue };

/** Reads an image source; fields that are null count as absent, as GraphQL clients send them. */
export function parseImageSource(value: unknown, path: readonly string[]): ParsedSource {
  const refuse = (message: string, field?: string): ParsedSource => ({
    ok: false,
    issue: { path: field === undefined ? path : [...path, field], message },
  });
  if (!isObject(value)) return refuse(`must be an object with one of ${FIELDS.join(', ')}`);
  const given = Object.keys(value).filter((field) => value[field] !== null && value[field] !== undefined);
  const unknown = given.find((field) => !FIELDS.some((known) => known === field));
  if (unknown !== undefined)
    return refuse(`is not a field of an image; use one of ${FIELDS.join(', ')}`, unknown);
  if (given.length !== 1) return refuse(`must have exactly one of ${FIELDS.join(', ')}`);
  for (const field of TEXT_FIELDS) {
    if (given[0] !== field) continue;
    const text = value[field];
    if (typeof text !== 'string' || text === '') return refuse('must be a non-empty text', field);
    return { ok: true, source: { [field]: text } as unknown as ImageSource };
  }
  if (!isFileStream(value.upload)) return refuse('must be a file of this request', 'upload');
  return { ok: true, source: { upload: value.upload } };
}

function isFileStream(value: unknown): value is FileStream {
  if (!isObject(value)) return false;
  const { filename, stream } = value;
  const streams = typeof stream === 'object' && stream !== null && Symbol.asyncIterator in stream;
  return streams && (filename === null || typeof filename === 'string');
}
