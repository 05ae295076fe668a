/**
 * Places in the queue for all who watch a waiting job: their questions are gathered for a moment and answered by two
 * queries, because ranking the queue once for each watcher would cost more the longer the queue is.
 */
import type DataLoader from 'dataloader';
import { type Clock, pause } from '../lib/clock.ts';
import type { Gate } from '../lib/gate.ts';
import { queuePositions } from '../store/jobs.ts';
import { blockedReasons } from '../store/needs.ts';
import type { Store } from '../store/open.ts';
import { gathered } from './gathered.ts';

export interface Place {
  /** From 1. */
  readonly position: number;
  readonly blockedBy: string | null;
}

const GATHER_MS = 20;

interface Question {
  readonly jobId: string;
  readonly needsKey: string;
}

export class PlaceBoard {
  readonly #loader: Pick<DataLoader<Question, Place | null, string>, 'load'>;

  /** `shutdown`: from then on nobody has a place any more, and no question waits. */
  constructor({ db }: Store, clock: Clock, gate: Gate, shutdown: AbortSignal) {
    this.#loader = gathered<Question, Place | null>(
      async (questions) => {
        if (shutdown.aborted) return questions.map(() => null);
        const positions = await queuePositions(db, [...new Set(questions.map(({ jobId }) => jobId))]);
        const reasons = await blockedReasons(db, [...new Set(questions.map(({ needsKey }) => needsKey))]);
        return questions.map(({ jobId, needsKey }) => {
          const position = positions.get(jobId);
          return position === undefined ? null : { position, blockedBy: reasons.get(needsKey) ?? null };
        });
      },
      { gate, moment: () => pause(clock, GATHER_MS, shutdown) },
    );
  }

  /** Null once the job has left the queue. */
  read(question: Question): Promise<Place | null> {
    return this.#loader.load({ jobId: question.jobId, needsKey: question.needsKey });
  }
}
