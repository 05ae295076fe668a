/**
 * Ids inside JSON: pictures are named by global ids on the wire and by row ids below. An id that is none of ours is
 * passed on as it is and found to name nothing, so that the answer says where it stood.
 */
import { FILE_KEY, fileValueOf } from '../domain/file-refs.ts';
import type { FileStream, ImageSource, SentValue } from '../jobs/sources.ts';
import { isObject, type Json, type JsonObject } from '../lib/json.ts';
import { globalId, rawId } from './global-id.ts';
import type { IncomingFile } from './incoming-file.ts';

const uploadRow = (id: string): string => rawId(id, 'UploadedImage') ?? id;
const outputRow = (id: string): string => rawId(id, 'ImageOutput', 'FileOutput') ?? id;

/** The input object ImageSource as GraphQL hands it over: exactly one field is set. */
export interface ImageSourceInput {
  readonly upload?: IncomingFile | null;
  readonly uploadId?: string | null;
  readonly outputId?: string | null;
  readonly url?: string | null;
  readonly dataUri?: string | null;
}

export function imageSourceOf(input: ImageSourceInput): ImageSource {
  const { upload, uploadId, outputId, url, dataUri } = input;
  if (upload) return { upload: upload.open() satisfies FileStream };
  if (typeof uploadId === 'string') return { uploadId: uploadRow(uploadId) };
  if (typeof outputId === 'string') return { outputId: outputRow(outputId) };
  return typeof url === 'string' ? { url } : { dataUri: dataUri ?? '' };
}

/** Inputs of submitJob: an object among them can only be a picture. */
export function inputsFromWire(inputs: JsonObject): Record<string, SentValue> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [name, isObject(value) ? withRowIds(value) : value]),
  );
}

/** A raw graph: pictures stand under "$file" in the inputs of its nodes. What is no graph is returned as it is. */
export function graphFromWire(graph: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(graph).map(([id, node]): [string, Json] => {
      if (!isObject(node) || !isObject(node.inputs)) return [id, node];
      return [id, { ...node, inputs: nodeInputsFromWire(node.inputs) }];
    }),
  );
}

function nodeInputsFromWire(inputs: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]): [string, Json] => {
      const file = fileValueOf(value);
      return [name, isObject(file) ? { [FILE_KEY]: withRowIds(file) } : value];
    }),
  );
}

function withRowIds(source: JsonObject): JsonObject {
  const { uploadId, outputId } = source;
  return {
    ...source,
    ...(typeof uploadId === 'string' && { uploadId: uploadRow(uploadId) }),
    ...(typeof outputId === 'string' && { outputId: outputRow(outputId) }),
  };
}

/** A job's recorded inputs as clients see them. */
export function inputsToWire(inputs: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [name, isObject(value) ? withGlobalIds(value) : value]),
  );
}

function withGlobalIds(source: JsonObject): JsonObject {
  const { uploadId, outputId } = source;
  return {
    ...source,
    ...(typeof uploadId === 'string' && { uploadId: globalId('UploadedImage', uploadId) }),
    ...(typeof outputId === 'string' && { outputId: globalId('ImageOutput', outputId) }),
  };
}
