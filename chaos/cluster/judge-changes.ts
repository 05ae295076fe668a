/** What changes of a fleet did to its work: the attempts as the rows have them, beside the mutations as they were answered. */
import type { AttemptsTable } from '../../src/store/schema.ts';
import type { AttemptMade } from './audit.ts';
import type { Change } from './fleet-changer.ts';

export interface ChangesJudged {
  /** Attempts that were begun on an instance after it was said to be drained, or removed. */
  readonly tooLate: readonly string[];
  /** Attempts that an instance had when it was removed, and that did not end by themselves. */
  readonly moved: readonly Moved[];
  /** Those that were charged to their jobs. */
  readonly charged: readonly string[];
  /** Those without a later attempt elsewhere, of jobs that were not canceled. */
  readonly stranded: readonly string[];
}

export interface Moved {
  readonly jobId: string;
  /** From the request to remove the instance until the next attempt of the job began; null when its job was canceled. */
  readonly afterMs: number | null;
}

export interface ChangeEvidence {
  readonly changes: readonly Change[];
  readonly attempts: readonly AttemptsTable[];
  /** As the database saw them begin. */
  readonly begun: readonly AttemptMade[];
  /** Jobs that were canceled. */
  readonly canceled: ReadonlySet<string>;
}

export function judgeChanges(evidence: ChangeEvidence): ChangesJudged {
  const moved = removals(evidence.changes).flatMap((removal) => movedBy(removal, evidence));
  return {
    tooLate: tooLate(evidence),
    moved: moved.map(({ attempt, next, removal }) => {
      return { jobId: attempt.job_id, afterMs: next ? next.started_at - removal.askedAt : null };
    }),
    charged: moved.filter(({ attempt }) => attempt.charged === 1).map(({ attempt }) => attempt.id),
    stranded: moved
      .filter(({ attempt, next }) => !next && !evidence.canceled.has(attempt.job_id))
      .map(({ attempt }) => attempt.id),
  };
}

const removals = (changes: readonly Change[]): readonly Change[] =>
  changes.filter(({ what, type }) => what === 'removeInstance' && type === 'RemoveInstanceSuccess');

/** Nothing begins from the answer on: to a drain until it is to be resumed, to a removal for ever. */
function tooLate({ changes, attempts, begun }: ChangeEvidence): string[] {
  const begunAt = new Map(begun.map(({ attempt_id, at }) => [attempt_id, at]));
  return changes.flatMap((change, index) => {
    const { what, rowId, answeredAt, type } = change;
    if ((what !== 'drainInstance' && what !== 'removeInstance') || !type.endsWith('Success')) return [];
    const resumed = changes
      .slice(index)
      .find((later) => later.what === 'resumeInstance' && later.rowId === rowId);
    const until = (what === 'drainInstance' ? resumed?.askedAt : undefined) ?? Number.POSITIVE_INFINITY;
    return attempts
      .filter(({ id, instance_id }) => {
        const at = begunAt.get(id) ?? 0;
        return instance_id === rowId && at > answeredAt && at < until;
      })
      .map(
        ({ id }) =>
          `attempt ${id} began ${(begunAt.get(id) ?? 0) - answeredAt} ms after ${what} of ${change.instance}`,
      );
  });
}

interface MovedAttempt {
  readonly removal: Change;
  readonly attempt: AttemptsTable;
  readonly next: AttemptsTable | undefined;
}

const BY_ITSELF = ['SUCCEEDED', 'CANCELED'];

function movedBy(removal: Change, { attempts }: ChangeEvidence): MovedAttempt[] {
  return attempts
    .filter(({ instance_id, started_at, finished_at, state }) => {
      const open = started_at <= removal.answeredAt && (finished_at ?? 0) >= removal.askedAt;
      return instance_id === removal.rowId && open && !BY_ITSELF.includes(state);
    })
    .map((attempt) => {
      const next = attempts.find(
        ({ job_id, number }) => job_id === attempt.job_id && number === attempt.number + 1,
      );
      return { removal, attempt, next };
    });
}
