/**
 * The smallest workflow that shows whether an instance works: a plain picture, blurred on the graphics card where the
 * instance can (ComfyUI moves the picture to its torch device for that), and shown. Nodes of a bare ComfyUI only.
 */
import type { JsonObject } from '../lib/json.ts';

/** `nodeTypes`: those of the instance, null when not known. `random`, numbers in [0, 1), keeps the cache from answering. */
export function canaryGraph(nodeTypes: readonly string[] | null, random: () => number): JsonObject {
  const has = (type: string): boolean => nodeTypes?.includes(type) ?? true;
  const upTo = (limit: number): number => Math.floor(random() * limit);
  const size = { width: 16 + upTo(48), height: 16 + upTo(48) };
  const plain = { class_type: 'EmptyImage', inputs: { ...size, batch_size: 1, color: upTo(0x1000000) } };
  const blur = { class_type: 'ImageBlur', inputs: { image: ['1', 0], blur_radius: 2, sigma: 1 } };
  const images = [has('ImageBlur') ? '2' : '1', 0];
  const show = has('PreviewImage')
    ? { class_type: 'PreviewImage', inputs: { images } }
    : { class_type: 'SaveImage', inputs: { images, filename_prefix: 'comfyfleet-canary' } };
  return { '1': plain, ...(has('ImageBlur') && { '2': blur }), '3': show };
}
