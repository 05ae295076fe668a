/**
 * How long buckets of each width are kept. Each fineness reaches back to the beginning of a bucket of the next one, so that
 * any moment of the past is covered by one fineness and no other, without a gap where they meet.
 */
import { ALL_TIME, bucketOf, type Width } from './metric-measure.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** How far back each is read; hours and days as far as METRICS_RETENTION_MS says, and nothing further. */
const REACH_MS: Readonly<Partial<Record<Width, number>>> = { 10000: HOUR_MS, 60000: 2 * DAY_MS };
/** Whose buckets the oldest one begins with. */
const BORDER: Readonly<Record<Width, Width>> = {
  10000: MINUTE_MS,
  60000: HOUR_MS,
  3600000: DAY_MS,
  86400000: DAY_MS,
  0: ALL_TIME,
};

/** The beginning of the oldest bucket that may be read at `now`. `retentionMs`: METRICS_RETENTION_MS. */
export function keptFrom(width: Width, now: number, retentionMs: number): number {
  if (width === ALL_TIME) return Number.NEGATIVE_INFINITY;
  const oldest = bucketOf(DAY_MS, now - retentionMs);
  return Math.max(oldest, bucketOf(BORDER[width], now - (REACH_MS[width] ?? retentionMs)));
}

/** What began before this may be deleted: a little later than it is read last, for readers that asked just before. */
export function expiredBefore(width: Width, now: number, retentionMs: number): number {
  return keptFrom(width, now, retentionMs) - MINUTE_MS;
}
