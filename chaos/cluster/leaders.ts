/** Who leads a cluster, and when another does. By the database, not by what programs say of themselves. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { GatewayProgram } from '../processes.ts';
import type { OpenRow } from '../rows.ts';
import { newestTerm, type TermBegun } from './audit.ts';
import type { Cluster } from './cluster.ts';

export interface Leader {
  readonly program: GatewayProgram;
  readonly term: number;
}

/** Whose term is the newest; it may have ended meanwhile. */
export async function leaderOf(cluster: Cluster): Promise<Leader> {
  const begun = await untilTermAfter(cluster, 0);
  return { program: cluster.named(begun.who), term: begun.term };
}

/** @throws when no later term begins in time. */
export async function untilTermAfter(cluster: Cluster, term: number, withinMs = 60_000): Promise<TermBegun> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const newest = await newestTerm(cluster.rows);
    if (newest && newest.term > term) return newest;
    if (performance.now() > deadline) throw new Error(`nobody leads after term ${term}`);
    await sleep(10);
  }
}

/** A leader writes its own term on what it takes over. Answers when all of it was taken charge of, or had ended; in epoch ms. */
export async function untilAdopted(
  cluster: Cluster,
  open: readonly OpenRow[],
  withinMs = 60_000,
): Promise<number> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const now = new Map((await cluster.rows.open()).map((row) => [row.id, row.term]));
    if (open.every(({ id, term }) => (now.get(id) ?? Number.POSITIVE_INFINITY) > term)) return Date.now();
    if (performance.now() > deadline) throw new Error('what was open was not adopted');
    await sleep(10);
  }
}
