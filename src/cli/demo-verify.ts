/** The demo's own inspection: it believes no status, it opens every saved file. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import sharp from 'sharp';

/** A file of a job as the gateway described it and as it was saved. */
export interface SavedFile {
  readonly jobId: string;
  readonly path: string;
  readonly sha256: string;
  readonly width: number;
  readonly height: number;
}

/** What a workflow's result must look like. */
export type Expectation =
  | { readonly kind: 'picture' }
  | { readonly kind: 'upscaled'; readonly width: number; readonly height: number }
  | { readonly kind: 'cut-out' };

/** Problems found in one saved file; none means that it is what it claims to be. */
export async function inspectFile(file: SavedFile, expectation: Expectation): Promise<string[]> {
  const problems: string[] = [];
  const bytes = await readFile(file.path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== file.sha256) problems.push(`${file.path}: its sha256 is not the one of Output.sha256`);
  const picture = sharp(bytes);
  const { data, info } = await picture.ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  if (info.width !== file.width || info.height !== file.height)
    problems.push(`${file.path}: not ${file.width} x ${file.height}`);
  if (
    expectation.kind === 'upscaled' &&
    (info.width !== expectation.width * 4 || info.height !== expectation.height * 4)
  ) {
    problems.push(`${file.path}: ${info.width} x ${info.height} is not four times the upload`);
  }
  if (expectation.kind === 'cut-out' && !hasBothAlphas(data))
    problems.push(`${file.path}: nothing was cut out`);
  return problems;
}

function hasBothAlphas(rgba: Buffer): boolean {
  let transparent = false;
  let opaque = false;
  for (let at = 3; at < rgba.length; at += 4) {
    if (rgba[at] === 0) transparent = true;
    if (rgba[at] === 255) opaque = true;
  }
  return transparent && opaque;
}

/** Problems of the whole set: a file that two jobs share. */
export function sharedFiles(files: readonly SavedFile[]): string[] {
  const owner = new Map<string, string>();
  const problems: string[] = [];
  for (const { sha256, jobId, path } of files) {
    const other = owner.get(sha256);
    if (other && other !== jobId) problems.push(`${path}: another job has the same file`);
    owner.set(sha256, jobId);
  }
  return problems;
}
