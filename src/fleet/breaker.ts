/**
 * Whether an instance may be given jobs, from what the jobs and the canary said of it. Pure.
 *
 *   CLOSED ── a fault ──▶ HALF_OPEN ── canary works ──▶ CLOSED
 *     │                       └── canary fails ──▶ OPEN ── its time is over ──▶ HALF_OPEN
 *     └── BREAKER_THRESHOLD faults without a success in between ──▶ OPEN
 */

/** What a job, or the scheduler on its behalf, has to say about an instance. */
export type Experience =
  /** A job ran to its end on it. */
  | { readonly kind: 'success' }
  /** The instance is to blame, or may be: it crashed, stalled, lost its GPU, its disk is full. One line for a person. */
  | { readonly kind: 'fault'; readonly reason: string }
  /** A node failed within 2 s: nothing by itself, but two in a row of different jobs are a fault. */
  | { readonly kind: 'quick-failure'; readonly jobId: string; readonly reason: string };
