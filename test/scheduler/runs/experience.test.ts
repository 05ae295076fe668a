import { describe, expect, it } from 'vitest';
import { FAULTS, type FaultCode, fault } from '../../../src/domain/fault.ts';
import type { Experience } from '../../../src/fleet/breaker.ts';
import { experienceOf } from '../../../src/scheduler/runs/experience.ts';
import { failed } from '../../../src/scheduler/runs/outcome.ts';

const CODES = Object.keys(FAULTS) as FaultCode[];
const afterMs = (code: FaultCode, runMs: number | null): Experience | null =>
  experienceOf(failed(fault(code), runMs), 'job');

describe('what an end says about the instance', () => {
  it('is good when the job succeeded', () => {
    expect(experienceOf({ kind: 'succeeded', runMs: 5 }, 'job')).toEqual({ kind: 'success' });
  });

  it('is a fault when the instance went away, even where the result was saved (F12)', () => {
    const goneWith = fault('INSTANCE_CRASHED');
    expect(experienceOf({ kind: 'succeeded', runMs: 5, goneWith }, 'job')).toMatchObject({ kind: 'fault' });
  });

  it('is a fault for each code the instance is to blame for, or went down with', () => {
    const faults = CODES.filter(
      (code) => experienceOf({ kind: 'lost', fault: fault(code) }, 'job')?.kind === 'fault',
    );
    expect(faults.sort()).toEqual([
      'GPU_FAULT',
      'INSTANCE_CRASHED',
      'INSTANCE_DISK_FULL',
      'INSTANCE_LOST',
      'INSTANCE_STALLED',
      'INSTANCE_UNREACHABLE',
      'OUTPUT_UNAVAILABLE',
      'SUBMIT_FAILED',
      'UPLOAD_FAILED',
    ]);
  });

  it('is a quick failure when nobody knows and it came within two seconds (F18)', () => {
    expect(afterMs('NODE_FAILED', 50)).toEqual({
      kind: 'quick-failure',
      jobId: 'job',
      reason: 'a node failed',
    });
    expect(afterMs('NODE_FAILED', 2000)).toBeNull();
    expect(afterMs('NODE_FAILED', null)).toBeNull();
    expect(afterMs('OUT_OF_MEMORY', 50)?.kind).toBe('quick-failure');
  });

  it('is nothing when the job is to blame, somebody interrupted it, or its time was over', () => {
    const jobs = CODES.filter((code) => FAULTS[code].blame === 'job' || FAULTS[code].blame === 'nobody');
    for (const code of [...jobs, 'INTERRUPTED' as const]) expect(afterMs(code, 50), code).toBeNull();
    expect(experienceOf(failed(fault('TIMEOUT')), 'job')).toBeNull();
  });
});
