/** Addresses of files as clients see them: absolute, signed, the same for an hour. http/files.ts serves what they name. */
import type { SignedPath, UrlSigner } from '../storage/signed-url.ts';

/** What a signed address gives access to; both sides build it here, so that they cannot differ. */
export const fileAccess = (fileId: string): SignedPath => ({ kind: 'file', fileId, variant: '' });
export const thumbnailAccess = (fileId: string, width: number): SignedPath => ({
  kind: 'thumbnail',
  fileId,
  variant: String(width),
});
export const previewAccess = (jobId: string, revision: number): SignedPath => ({
  kind: 'preview',
  fileId: jobId,
  variant: String(revision),
});

export const THUMBNAIL_WIDTHS = { min: 16, max: 2048 } as const;

export class FileUrls {
  readonly #signer: UrlSigner;
  readonly #base: string;
  readonly #now: () => number;

  /** `base` has no trailing slash; `now` answers epoch ms. */
  constructor(signer: UrlSigner, base: string, now: () => number) {
    this.#signer = signer;
    this.#base = base;
    this.#now = now;
  }

  /** `fileId` is the global id of an output or upload. */
  file(fileId: string): string {
    return `${this.#base}/files/${fileId}?${this.#sign(fileAccess(fileId))}`;
  }

  thumbnail(fileId: string, width: number): string {
    return `${this.#base}/files/${fileId}?w=${width}&${this.#sign(thumbnailAccess(fileId, width))}`;
  }

  /** The revision makes each picture's address its own, so that caches may keep it for good. */
  preview(jobId: string, revision: number): string {
    return `${this.#base}/files/preview/${jobId}?rev=${revision}&${this.#sign(previewAccess(jobId, revision))}`;
  }

  #sign(path: SignedPath): string {
    return this.#signer.sign(path, this.#now());
  }
}
