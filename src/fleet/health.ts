/**
 * What a run of probe results says about an instance. Pure.
 *
 *   UNKNOWN ──answer──▶ HEALTHY ◀──answer without doubt── DEGRADED
 *      │                   └──missed once, or doubtful──────▲ │
 *      └──enough misses in a row──▶ UNHEALTHY ◀─────────────┼─┘
 *                                       └──answer───────────┘ or HEALTHY
 */
import type { InstanceHealth } from '../domain/instance.ts';

export interface HealthRecord {
  readonly health: InstanceHealth;
  /** Missed answers in a row. */
  readonly misses: number;
  /** When it last answered, epoch ms. */
  readonly lastSeenAt: number | null;
  /** Since when it has been answering without a break, epoch ms. */
  readonly upSince: number | null;
  readonly responseMs: number | null;
  readonly lastError: string | null;
}

export const NEVER_PROBED: HealthRecord = {
  health: 'UNKNOWN',
  misses: 0,
  lastSeenAt: null,
  upSince: null,
  responseMs: null,
  lastError: null,
};

export type ProbeResult =
  /** `doubt`: it answers, but something is off (one line), else null. */
  | { readonly kind: 'answered'; readonly responseMs: number; readonly doubt: string | null }
  | { readonly kind: 'missed'; readonly error: string };

/** The record after one more probe; `now` is epoch ms. */
export function afterProbe(
  record: HealthRecord,
  result: ProbeResult,
  now: number,
  unhealthyAfterMisses: number,
): HealthRecord {
  if (result.kind === 'answered') {
    return {
      health: result.doubt === null ? 'HEALTHY' : 'DEGRADED',
      misses: 0,
      lastSeenAt: now,
      upSince: record.misses > 0 ? now : (record.upSince ?? now),
      responseMs: result.responseMs,
      lastError: result.doubt,
    };
  }
  const misses = record.misses + 1;
  return {
    ...record,
    health: healthAfterMisses(record.health, misses, unhealthyAfterMisses),
    misses,
    upSince: null,
    lastError: result.error,
  };
}

function healthAfterMisses(before: InstanceHealth, misses: number, limit: number): InstanceHealth {
  if (misses >= limit || before === 'UNHEALTHY') return 'UNHEALTHY';
  return before === 'UNKNOWN' ? 'UNKNOWN' : 'DEGRADED';
}

const FIRST_RETRY_MS = 1000;
const JITTER = 0.2;

/**
 * Pause before the next probe in ms: the interval, while it does not answer a shorter one that doubles up to it; always
 * 20 % more or less, so that probes of many instances do not march in step. `random` answers numbers in [0, 1).
 */
export function nextProbeInMs(record: HealthRecord, intervalMs: number, random: () => number): number {
  const base =
    record.misses === 0
      ? intervalMs
      : Math.min(intervalMs, FIRST_RETRY_MS * 2 ** Math.min(record.misses - 1, 16));
  return base * (1 - JITTER + 2 * JITTER * random());
}
