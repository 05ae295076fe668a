/**
 * Tells the bus what was committed. Called after the commit only: a message about a row that is then rolled back would
 * be a lie, and whoever hears one must find the row. The bus carries freshness, so nothing here can fail a write.
 */
import type { Job } from '../domain/job.ts';
import type { DurableEvent } from '../domain/job-event.ts';
import type { EventBus } from '../events/bus.ts';
import type { Hint } from '../events/messages.ts';
import type { Logger } from '../lib/logger.ts';

export interface Announcement {
  readonly job: Job;
  readonly event: DurableEvent;
  /** The queue's figures changed: a job began or ceased to wait or to run. */
  readonly queueChanged?: boolean;
  readonly hint?: Hint;
  /** Its run is over: live progress and previews are of the past. */
  readonly runOver?: boolean;
}

export interface Announcer {
  announce(news: Announcement): void;
  deleted(job: Pick<Job, 'id' | 'tenant' | 'seq'>, at: number): void;
}

export function createAnnouncer(bus: EventBus, logger: Logger): Announcer {
  const safely = (jobId: string, tell: () => void): void => {
    try {
      tell();
    } catch (error) {
      logger.error({ err: error, job: jobId }, 'the bus refused news of a committed change');
    }
  };
  return {
    announce({ job, event, queueChanged, hint, runOver }) {
      const { id: jobId, tenant, seq, updatedAt: at } = job;
      safely(jobId, () => {
        bus.publish({ kind: 'job', jobId, tenant, seq, at, change: { type: 'durable', event } });
        if (runOver) bus.forget(jobId);
        if (queueChanged) bus.publish({ kind: 'queue', at });
        if (hint) bus.publish({ kind: 'hint', hint, jobId });
      });
    },
    deleted({ id: jobId, tenant, seq }, at) {
      safely(jobId, () => {
        bus.publish({ kind: 'job', jobId, tenant, seq, at, change: { type: 'deleted' } });
        bus.forget(jobId);
        bus.publish({ kind: 'hint', hint: 'job-deleted', jobId });
      });
    },
  };
}
