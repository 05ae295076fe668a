/** The noun Output: pictures, other files and texts that a job made. */
import type { Output, OutputKind } from '../domain/output.ts';
import { present } from '../lib/assert.ts';
import type { Builder } from './builder.ts';
import { THUMBNAIL_WIDTHS } from './file-urls.ts';
import { globalId, type NodeTypeName } from './global-id.ts';
import type { Refs } from './refs.ts';

export const OUTPUT_TYPES = {
  image: 'ImageOutput',
  file: 'FileOutput',
  text: 'TextOutput',
} as const satisfies Record<OutputKind, NodeTypeName>;

/** Larger pictures have no data URI: they are fetched by `url`. */
const LARGEST_DATA_URI_BYTES = 1024 * 1024;

const idOf = (output: Output): string => globalId(OUTPUT_TYPES[output.kind], output.id);

export function addOutputs(builder: Builder, refs: Refs): void {
  builder.interfaceType(refs.Output, {
    description: 'What a node of a job made.',
    resolveType: (output) => OUTPUT_TYPES[output.kind],
    fields: (t) => ({
      id: t.id({ description: 'Opaque id.', resolve: idOf }),
      node: t.exposeString('node', { description: 'Id of the node in the submitted graph.' }),
      mimeType: t.exposeString('mimeType', { description: 'Media type, as the gateway found it.' }),
    }),
  });
  addImage(builder, refs);
  addFile(builder, refs);
  builder.objectType(builder.objectRef<Output>('TextOutput'), {
    description: 'A text.',
    interfaces: [refs.Output, refs.Node],
    fields: (t) => ({
      id: t.id({ description: 'Opaque id.', resolve: idOf }),
      text: t.string({ description: 'The text.', resolve: ({ text }) => present(text, 'text') }),
    }),
  });
}

function addImage(builder: Builder, refs: Refs): void {
  builder.objectType(builder.objectRef<Output>('ImageOutput'), {
    description: 'A picture, animated ones included.',
    interfaces: [refs.Output, refs.Node],
    fields: (t) => ({
      id: t.id({ description: 'Opaque id.', resolve: idOf }),
      url: t.string({
        description: 'Where the picture is: signed, valid for an hour or more, the same within the hour.',
        resolve: (output, _args, { urls }) => urls.file(idOf(output)),
      }),
      thumbnailUrl: t.string({
        nullable: true,
        description: 'Where a WebP of it is, at most `width` pixels wide and never larger than the picture.',
        args: {
          width: t.arg.int({
            defaultValue: 256,
            description: `Pixels; ${THUMBNAIL_WIDTHS.min} to ${THUMBNAIL_WIDTHS.max}, what lies outside is brought inside.`,
          }),
        },
        resolve: (output, { width }, { urls }) => urls.thumbnail(idOf(output), thumbnailWidth(width)),
      }),
      filename: t.string({
        description: 'Name ComfyUI gave it: for display.',
        resolve: ({ filename }) => filename ?? '',
      }),
      width: t.int({ description: 'Pixels.', resolve: ({ width }) => present(width, 'width') }),
      height: t.int({ description: 'Pixels.', resolve: ({ height }) => present(height, 'height') }),
      bytes: t.float({ description: 'Size in bytes.', resolve: ({ bytes }) => present(bytes, 'bytes') }),
      sha256: t.string({
        description: 'SHA-256 of the bytes, in hex.',
        resolve: ({ sha256 }) => present(sha256, 'sha256'),
      }),
      dataUri: t.string({
        nullable: true,
        description: `The picture itself as a data URI; null when it is larger than ${LARGEST_DATA_URI_BYTES} bytes.`,
        resolve: async (output, _args, { services }) => {
          const { tenant, sha256, mimeType } = output;
          if (sha256 === null) return null;
          const bytes = await services.storage.toBuffer(tenant, sha256, LARGEST_DATA_URI_BYTES);
          return bytes && `data:${mimeType};base64,${bytes.toString('base64')}`;
        },
      }),
    }),
  });
}

function addFile(builder: Builder, refs: Refs): void {
  builder.objectType(builder.objectRef<Output>('FileOutput'), {
    description: 'A video, sound, 3D model or any other file.',
    interfaces: [refs.Output, refs.Node],
    fields: (t) => ({
      id: t.id({ description: 'Opaque id.', resolve: idOf }),
      url: t.string({
        description: 'Where the file is: signed, valid for an hour or more, the same within the hour.',
        resolve: (output, _args, { urls }) => urls.file(idOf(output)),
      }),
      filename: t.string({
        description: 'Name ComfyUI gave it: for display.',
        resolve: ({ filename }) => filename ?? '',
      }),
      bytes: t.float({ description: 'Size in bytes.', resolve: ({ bytes }) => present(bytes, 'bytes') }),
      sha256: t.string({
        description: 'SHA-256 of the bytes, in hex.',
        resolve: ({ sha256 }) => present(sha256, 'sha256'),
      }),
    }),
  });
}

function thumbnailWidth(width: number | null | undefined): number {
  return Math.min(THUMBNAIL_WIDTHS.max, Math.max(THUMBNAIL_WIDTHS.min, width ?? 256));
}
