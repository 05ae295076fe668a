/** Messages that somebody does not get, for figures. */

/**
 * By a subscriber that lags: `conflated` with a newer one of the same subject; `expendable`, commentary and previews; by
 * `overflow`, of which it is told by a gap and reads the rows. On the way to other processes: `malformed` and `foreign` came in
 * and could not be read; `tooLarge` and `refused` could not be sent; `failed` were sent, and Redis did not take them.
 */
export const DROP_REASONS = [
  'conflated',
  'expendable',
  'overflow',
  'malformed',
  'foreign',
  'tooLarge',
  'refused',
  'failed',
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

export type OnDropped = (reason: DropReason, count: number) => void;
