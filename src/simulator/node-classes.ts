/** All node classes a simulator has, by name, in the order of /object_info. */
import type { NodeClass } from './node-class.ts';
import { IMAGE_NODES } from './nodes/images.ts';
import { MEDIA_NODES } from './nodes/media.ts';
import { MODEL_NODES } from './nodes/models.ts';
import { RIG_NODES } from './nodes/rig.ts';
import type { ResolvedOptions } from './options.ts';

export function nodeClasses(options: ResolvedOptions): Map<string, NodeClass> {
  const all = [...MODEL_NODES, ...IMAGE_NODES, ...MEDIA_NODES, ...RIG_NODES, ...options.addNodeClasses];
  const kept = all.filter((node) => !options.removeNodeClasses.includes(node.name));
  return new Map(kept.map((node) => [node.name, node]));
}
