/** When jobs of tenants began, by the rows of a cluster. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../cluster/cluster.ts';

export interface Start {
  readonly id: string;
  readonly tenant: string;
  readonly created_at: number;
  /** Of its first attempt. */
  readonly started_at: number;
}

const STARTS = `select j.id, j.tenant, j.created_at, min(a.started_at) as started_at
  from jobs j join attempts a on a.job_id = j.id where a.started_at >= $1 group by j.id order by 4, 1`;

/** Since then, in epoch ms; oldest first. */
export function startsSince({ rows }: Cluster, at: number): Promise<Start[]> {
  return rows.all<Start>(STARTS, [at]);
}

/** The starts since then once there are enough of them for the condition. */
export async function startsUntil(
  cluster: Cluster,
  since: number,
  enough: (starts: readonly Start[]) => boolean,
  withinMs = 300_000,
): Promise<Start[]> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const starts = await startsSince(cluster, since);
    if (enough(starts)) return starts;
    if (performance.now() > deadline) throw new Error(`only ${starts.length} jobs began in ${withinMs} ms`);
    await sleep(100);
  }
}

/** The share that a tenant has of these starts, 0 to 1. */
export function shareOf(tenant: string, starts: readonly Start[]): number {
  return starts.filter((one) => one.tenant === tenant).length / starts.length;
}
