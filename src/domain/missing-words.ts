/** What is missing, as a person reads it. */
import type { Needs } from './capabilities.ts';

/** Each thing by itself: `model x.safetensors`, `node type X`. */
export function missingWords({ models, nodeTypes }: Pick<Needs, 'models' | 'nodeTypes'>): string[] {
  return [
    ...models.map((model) => `model ${model}`),
    ...nodeTypes.map((nodeType) => `node type ${nodeType}`),
  ];
}

/** `a, b and c`; of more than `most` the rest is only counted: `a, b and 3 more`. */
export function listed(things: readonly string[], most = 2): string {
  const shown = things.slice(0, most);
  if (things.length > most) return `${shown.join(', ')} and ${things.length - most} more`;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}
