/** Makes the small pictures that lists show. */
import sharp from 'sharp';
import type { Content } from './blob-store.ts';

const MAX_PIXELS = 50_000_000;

/**
 * A WebP at most `width` pixels wide, upright, first frame only, never larger than the original; null when the content
 * is no picture that can be decoded within the pixel limit.
 */
export async function thumbnail(
  content: Content,
  width: number,
  limits: { readonly maxPixels?: number } = {},
): Promise<Buffer | null> {
  try {
    return await sharp(content, {
      failOn: 'none',
      sequentialRead: true,
      limitInputPixels: limits.maxPixels ?? MAX_PIXELS,
    })
      .autoOrient()
      .resize({ width, fit: 'inside', withoutEnlargement: true })
      .webp({ quality: 80 })
      .toBuffer();
  } catch {
    return null;
  }
}
