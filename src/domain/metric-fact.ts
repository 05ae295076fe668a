/**
 * What happened to a job, as figures need it: written in the transaction of the state change, beside the durable event,
 * and folded into rollups exactly once. A fact names everything by itself: its job may be deleted before it is folded.
 */
import type { FaultCode } from './fault.ts';
import type { AttemptOutcome, JobStatus } from './job.ts';

interface Common {
  /** When it happened, epoch ms. */
  readonly at: number;
  readonly tenant: string;
  readonly workflow: string;
}

export type MetricFact =
  | (Common & { readonly kind: 'submitted' })
  /** The job's first attempt was given an instance; `queueMs` since it was submitted. */
  | (Common & { readonly kind: 'started'; readonly instanceId: string; readonly queueMs: number })
  /** `runMs`: time on the instance, 0 where it never ran there. `counted`: this attempt ended its job. */
  | (Common & {
      readonly kind: 'attempt-ended';
      readonly instanceId: string;
      readonly outcome: AttemptOutcome;
      readonly code: FaultCode | null;
      readonly runMs: number;
      readonly counted: boolean;
    })
  /** `instanceId`: where it ran last. `runMs`: that of the attempt that counted. `message`: of its fault. */
  | (Common & {
      readonly kind: 'ended';
      readonly instanceId: string | null;
      readonly status: Extract<JobStatus, 'COMPLETED' | 'FAILED' | 'CANCELED'>;
      readonly code: FaultCode | null;
      readonly message: string | null;
      readonly runMs: number | null;
    });

export type MetricFactKind = MetricFact['kind'];
