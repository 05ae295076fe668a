/** What a tenant is entitled to when several share a fleet. */

export interface TenantLimits {
  /** Its share of the fleet beside other tenants that have jobs waiting: twice the weight, twice the share. Above 0. */
  readonly weight: number;
  /** Most jobs of it that may wait at once; null for no limit of its own. */
  readonly maxQueued: number | null;
  /** Most jobs of it that may run at once; null for no limit of its own. */
  readonly maxRunning: number | null;
}

/** The limits of a tenant as they are at this moment. */
export type LimitsOf = (tenant: string) => TenantLimits;

/** Why its jobs wait while as many as that are at work. For itself alone: it is no business of others. */
export function cappedReason(most: number): string {
  return `as many jobs of its owner run at once as may (${most})`;
}

export const NO_LIMITS: TenantLimits = { weight: 1, maxQueued: null, maxRunning: null };

export const sameForAll: LimitsOf = () => NO_LIMITS;
