import { describe, expect, it } from 'vitest';
import { ATTEMPT_STATES, JOB_STATUSES } from '../../src/domain/job.ts';
import {
  attemptMayBecome,
  attemptStatesBefore,
  ENDED_JOB_STATUSES,
  hasEnded,
  jobMayBecome,
  OPEN_ATTEMPT_STATES,
} from '../../src/domain/job-states.ts';

describe('the job state table', () => {
  it('lets nothing follow an end', () => {
    for (const ended of ENDED_JOB_STATUSES) {
      expect(hasEnded(ended)).toBe(true);
      expect(JOB_STATUSES.filter((next) => jobMayBecome(ended, next))).toEqual([]);
    }
  });

  it('completes only what is processing, and lets a retry wait again', () => {
    expect(JOB_STATUSES.filter((from) => jobMayBecome(from, 'COMPLETED'))).toEqual(['PROCESSING']);
    expect(JOB_STATUSES.filter((from) => jobMayBecome(from, 'PENDING'))).toEqual(['PROCESSING']);
  });
});

describe('the attempt state table', () => {
  it('lets each open state end in failure, cancel or loss, and only a collecting one succeed', () => {
    for (const end of ['FAILED', 'CANCELED', 'LOST'] as const)
      expect(attemptStatesBefore(end)).toEqual([...OPEN_ATTEMPT_STATES]);
    expect(attemptStatesBefore('SUCCEEDED')).toEqual(['COLLECTING']);
  });

  it('lets nothing follow an end', () => {
    const ended = ATTEMPT_STATES.filter(
      (state) => !(OPEN_ATTEMPT_STATES as readonly string[]).includes(state),
    );
    for (const from of ended) expect(ATTEMPT_STATES.filter((to) => attemptMayBecome(from, to))).toEqual([]);
  });
});
