import { describe, expect, it } from 'vitest';
import type { Job } from '../../src/domain/job.ts';
import { type JobFilter, matches } from '../../src/domain/job-filter.ts';

const job = {
  status: 'PENDING',
  workflow: 'upscaleImage',
  instanceId: null,
  user: 'alice',
  createdAt: 100,
  labels: { team: 'red', size: { w: 1, h: 2 }, none: null },
} as unknown as Job;

describe('matches', () => {
  it.each<[JobFilter, boolean]>([
    [{}, true],
    [{ status: ['PENDING', 'FAILED'] }, true],
    [{ status: ['FAILED'] }, false],
    [{ status: [] }, false],
    [{ workflow: ['upscaleImage'] }, true],
    [{ workflow: ['other'] }, false],
    [{ instance: ['i1'] }, false],
    [{ owner: 'alice' }, true],
    [{ owner: 'bob' }, false],
    [{ createdAfter: 100, createdBefore: 101 }, true],
    [{ createdAfter: 101 }, false],
    [{ createdBefore: 100 }, false],
    [{ label: { team: 'red' } }, true],
    [{ label: { team: 'red', none: null } }, true],
    [{ label: { team: 'blue' } }, false],
    [{ label: { size: { h: 2, w: 1 } } }, true],
    [{ label: { size: { w: 1 } } }, false],
    [{ label: { missing: null } }, false],
    [{ label: { toString: 'x' } }, false],
    [{ status: ['PENDING'], owner: 'bob' }, false],
  ])('answers %j with %s', (filter, expected) => {
    expect(matches(filter, job)).toBe(expected);
  });

  it('finds a job by the instance where it ran', () => {
    expect(matches({ instance: ['i1'] }, { ...job, instanceId: 'i1' })).toBe(true);
  });
});
