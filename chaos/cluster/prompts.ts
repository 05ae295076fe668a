/** What the instances of a cluster noted of the prompts they were posted. */
import type { Cluster } from './cluster.ts';

export interface Prompted {
  /** Of its attempt. */
  readonly id: string;
  readonly at: number;
}

export function prompted({ instances }: Cluster): Prompted[] {
  return instances.flatMap((instance) =>
    instance.evidence().prompts.map(({ promptId, at }) => ({ id: promptId, at })),
  );
}
