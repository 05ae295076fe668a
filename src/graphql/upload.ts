/** The noun UploadedImage, and the mutation that takes one. */
import type { StoredUpload } from '../domain/output.ts';
import type { Builder } from './builder.ts';
import type { FailureRefs } from './failure-types.ts';
import { fileFailure } from './failures.ts';
import { globalId } from './global-id.ts';
import type { Refs } from './refs.ts';

export function addUpload(builder: Builder, refs: Refs, failures: FailureRefs): void {
  builder.objectType(refs.UploadedImage, {
    description: 'A picture that was uploaded to be used in jobs.',
    interfaces: [refs.Node],
    fields: (t) => ({
      id: t.id({
        description: 'Opaque id: an ImageSource takes it as uploadId.',
        resolve: ({ id }) => globalId('UploadedImage', id),
      }),
      filename: t.exposeString('filename', {
        nullable: true,
        description: 'What the client called it: display text only.',
      }),
      mimeType: t.exposeString('mimeType', { description: 'Media type, as its bytes say.' }),
      width: t.exposeInt('width', { description: 'Pixels.' }),
      height: t.exposeInt('height', { description: 'Pixels.' }),
      bytes: t.exposeFloat('bytes', { description: 'Size in bytes.' }),
      sha256: t.exposeString('sha256', { description: 'SHA-256 of the bytes, in hex.' }),
      url: t.string({
        description: 'Where the picture is: signed, valid for an hour or more, the same within the hour.',
        resolve: ({ id }, _args, { urls }) => urls.file(globalId('UploadedImage', id)),
      }),
    }),
  });
  const UploadImageInput = builder.inputType('UploadImageInput', {
    description: 'A picture to keep.',
    fields: (t) => ({
      file: t.field({ type: 'Upload', required: true, description: 'PNG, JPEG or WebP.' }),
    }),
  });
  const Success = builder
    .objectRef<{ readonly __typename: 'UploadImageSuccess'; readonly image: StoredUpload }>(
      'UploadImageSuccess',
    )
    .implement({
      description: 'The picture is kept.',
      fields: (t) => ({
        image: t.field({
          type: refs.UploadedImage,
          description: 'The picture.',
          resolve: ({ image }) => image,
        }),
      }),
    });
  const { ValidationError, FileTooLargeError, UnsupportedMediaError, ImageTooLargeError } = failures;
  const Result = builder.unionType('UploadImageResult', {
    description: 'What became of an upload.',
    types: [Success, ValidationError, FileTooLargeError, UnsupportedMediaError, ImageTooLargeError],
    resolveType: ({ __typename }) => __typename,
  });
  builder.mutationField('uploadImage', (t) =>
    t.field({
      type: Result,
      description: 'Keeps a picture for use in jobs.',
      args: { input: t.arg({ type: UploadImageInput, required: true, description: 'The picture.' }) },
      resolve: async (_root, { input }, { services, viewer }) => {
        const result = await services.uploads.upload(viewer, input.file.open());
        if (result.kind !== 'stored') return fileFailure(result);
        return { __typename: 'UploadImageSuccess', image: result.upload } as const;
      },
    }),
  );
}
