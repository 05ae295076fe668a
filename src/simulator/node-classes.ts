/** All node classes a simulator has, by name, in the order of /object_info. */
import type { NodeClass } from './node-class.ts';
import { ENHANCING_NODES } from './nodes/enhancing.ts';
import { IMAGE_NODES } from './nodes/images.ts';
import { LOADER_NODES } from './nodes/loaders.ts';
import { MEDIA_NODES } from './nodes/media.ts';
import { RIG_NODES } from './nodes/rig.ts';
import { SAMPLING_NODES } from './nodes/sampling.ts';
import { SHOWING_NODES } from './nodes/showing.ts';
import type { ResolvedOptions } from './options.ts';

export function nodeClasses(options: ResolvedOptions): Map<string, NodeClass> {
  const all = [
    ...SAMPLING_NODES,
    ...LOADER_NODES,
    ...ENHANCING_NODES,
    ...SHOWING_NODES,
    ...IMAGE_NODES,
    ...MEDIA_NODES,
    ...RIG_NODES,
    ...options.addNodeClasses,
  ];
  const kept = all.filter((node) => !options.removeNodeClasses.includes(node.name));
  return new Map(kept.map((node) => [node.name, node]));
}
