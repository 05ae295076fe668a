/**
 * The queue seen from the leader, so that any replica can say where a waiting job stands and when it may start, without a
 * query per job: its front job by job, the rest by marks. Internal: it names jobs of all tenants, and is shown to nobody.
 */

/** A waiting job by which others of its stream are reckoned. */
export interface Mark {
  readonly createdAt: number;
  /** Place in the whole queue, from 1. */
  readonly rank: number;
  /** Epoch ms; null while nothing is known. */
  readonly startsAt: number | null;
}

/** Waiting jobs of one tenant and submitted priority: served by arrival, but for what holds some of them up. */
export interface MarkedStream {
  readonly tenant: string;
  readonly priority: number;
  /** By arrival; the last one is the last job of the stream. */
  readonly marks: readonly Mark[];
}

export interface Survey {
  /** When the front was looked at, epoch ms. */
  readonly at: number;
  /** Ids of the jobs that are first in order, and when each is expected to start. */
  readonly front: readonly (readonly [jobId: string, startsAt: number | null])[];
  readonly streams: readonly MarkedStream[];
  /** Classes of needs whose jobs no instance can run at present. */
  readonly stranded: readonly string[];
  /** Tenants of waiting jobs that have as many at work as they may, and how many that is. */
  readonly capped: readonly (readonly [tenant: string, most: number])[];
  /** When what can run will have run, epoch ms; null while nothing is known. */
  readonly drainedAt: number | null;
}
