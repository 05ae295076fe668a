/** Jobs that leave the waiting line without a run: canceled or deleted ones, and those whose deadline passed. */
import type { Tracer } from '@opentelemetry/api';
import type { Recorder } from '../jobs/recorder.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Dispatcher } from './dispatcher.ts';
import { traceWait } from './queue-trace.ts';
import type { WaitingLine } from './waiting-line.ts';

export interface LeavingsParts {
  readonly line: WaitingLine;
  readonly recorder: Pick<Recorder, 'expire'>;
  readonly dispatcher: Pick<Dispatcher, 'notWanted' | 'whyWaiting'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer?: Tracer | null | undefined;
  /** The line is another now. */
  readonly onChange: () => void;
}

export class Leavings {
  readonly #parts: LeavingsParts;

  constructor(parts: LeavingsParts) {
    this.#parts = parts;
  }

  /** Its client wants it no more. */
  notWanted(jobId: string): void {
    const { line, dispatcher, clock, tracer, onChange } = this.#parts;
    const waiting = line.queue.get(jobId);
    if (waiting) traceWait(tracer, waiting, clock.now(), 'canceled');
    line.queue.remove(jobId);
    onChange();
    dispatcher.notWanted(jobId);
  }

  /** Ends every job that waited past its deadline, while `goOn`. */
  async expireOverdue(goOn: () => boolean): Promise<void> {
    const { line, recorder, dispatcher, clock, logger, tracer, onChange } = this.#parts;
    for (const job of line.queue.overdue(clock.now())) {
      if (!goOn()) return;
      const expired = await recorder.expire(job.id, dispatcher.whyWaiting(job));
      if (expired) {
        traceWait(tracer, job, clock.now(), 'expired');
        logger.warn({ job: job.id, code: 'DEADLINE_EXCEEDED' }, 'a job waited past its deadline');
        line.queue.remove(job.id);
      } else line.note(job.id);
      onChange();
    }
  }
}
