/** Which tenants have as many jobs at work as they may, so that each can be told why its own wait. Pure. */
import type { LimitsOf } from '../../domain/tenant-limits.ts';
import type { RunningNow } from './forecast.ts';

export interface AtWork {
  readonly running: readonly RunningNow[];
  readonly limitsOf: LimitsOf;
}

/** Those of the tenants, and how many jobs each may have at work. */
export function cappedTenants(
  tenants: Iterable<string>,
  { running, limitsOf }: AtWork,
): [tenant: string, most: number][] {
  const counts = new Map<string, number>();
  for (const { tenant } of running) counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
  const capped: [string, number][] = [];
  for (const tenant of new Set(tenants)) {
    const { maxRunning } = limitsOf(tenant);
    if (maxRunning !== null && (counts.get(tenant) ?? 0) >= maxRunning) capped.push([tenant, maxRunning]);
  }
  return capped;
}
