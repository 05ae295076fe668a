import { describe, expect, it } from 'vitest';
import {
  blockedReason,
  isolationReason,
  retriesReason,
  storageReason,
  tenantReason,
} from '../../../src/scheduler/planning/blocked-reason.ts';
import type { Candidate } from '../../../src/scheduler/planning/candidate.ts';
import { laneOf } from '../../../src/scheduler/planning/lane.ts';
import { candidate as plain } from './candidate.ts';
import { pendingJob } from './pending-job.ts';

const NEEDS = { nodeTypes: ['SaveImage', 'Rembg'], models: ['x.safetensors'] };
const FULL = { nodeTypes: ['SaveImage', 'Rembg'], models: [{ kind: 'checkpoints', name: 'x.safetensors' }] };

function candidate(fields: Partial<Candidate>): Candidate {
  return plain({ inventory: FULL, ...fields });
}

describe('the reason a class of jobs is left waiting', () => {
  const down = candidate({ health: 'UNHEALTHY', answering: false });
  const fresh = candidate({ health: 'UNKNOWN', answering: false });
  const cases: [string, Candidate[], string | null][] = [
    ['nothing is configured', [], 'no instances are configured'],
    ['everyone is down', [down, down], 'no healthy instance (2 of 2 are unreachable)'],
    [
      'the only one is on its way up',
      [{ ...down, starting: true }],
      'no healthy instance (1 of 1 is starting or down)',
    ],
    ['the only one is down', [down], 'no healthy instance (1 of 1 is unreachable)'],
    [
      'one is down, one was not asked yet',
      [down, fresh],
      'no healthy instance (1 of 2 is unreachable, 1 of 2 has not answered yet)',
    ],
    [
      'one is put aside, one is tested, one is down',
      [candidate({ breaker: 'OPEN' }), candidate({ breaker: 'HALF_OPEN' }), down],
      'no healthy instance (1 of 3 is unreachable, 1 of 3 is being tested, 1 of 3 is put aside after failures)',
    ],
    [
      'all that are up are held up',
      [candidate({ stuck: true }), candidate({ stuck: true, draining: true })],
      'every healthy instance is held up by a prompt that does not end',
    ],
    ['one of two is held up', [candidate({ stuck: true }), candidate({ takenSlots: [0] })], null],
    ['all drain', [candidate({ draining: true })], 'all instances are draining'],
    ['those that are up drain', [candidate({ draining: true }), down], 'all healthy instances are draining'],
    [
      'a model is nowhere',
      [candidate({ inventory: { ...FULL, models: [] } })],
      'no healthy instance has model x.safetensors (a lacks it)',
    ],
    [
      'the one that has the model is down',
      [{ ...down, name: 'away' }, candidate({ inventory: { ...FULL, models: [] } })],
      'no healthy instance has model x.safetensors (a lacks it; away has it, but cannot take jobs now)',
    ],
    [
      'a model is on none of three',
      ['gpu-1', 'gpu-2', 'gpu-3'].map((id) => candidate({ id, inventory: { ...FULL, models: [] } })),
      'no healthy instance has model x.safetensors (gpu-1, gpu-2 and gpu-3 lack it)',
    ],
    [
      'a model is on none of many',
      ['1', '2', '3', '4'].map((id) => candidate({ id, inventory: { ...FULL, models: [] } })),
      'no healthy instance has model x.safetensors (4 instances lack it)',
    ],
    [
      'several things are nowhere',
      [candidate({ inventory: { nodeTypes: [], models: [] } })],
      'no healthy instance has model x.safetensors, node type SaveImage and 1 more (a lacks them)',
    ],
    [
      'each lacks another thing',
      [
        candidate({ inventory: { ...FULL, models: [] } }),
        candidate({ inventory: { ...FULL, nodeTypes: ['SaveImage'] } }),
      ],
      'no healthy instance has all that the workflow needs; the closest, a, lacks model x.safetensors',
    ],
    ['lists are not read yet', [candidate({ inventory: null })], null],
    ['an able one is busy', [candidate({ takenSlots: [0] })], null],
  ];

  for (const [what, fleet, reason] of cases) {
    it(`is right when ${what}`, () => {
      expect(blockedReason(NEEDS, fleet)).toBe(reason);
    });
  }
});

describe('the reason a lane is held back', () => {
  const lane = laneOf(pendingJob({ id: 'j', tenant: 't', needsKey: 'key' }));
  const recent = { all: 40, retries: 4 };

  it('names the limit of repeated attempts, once it is reached and to those alone', () => {
    const retry = { ...lane, isRetry: true };
    expect(retriesReason(retry, recent, 10)).toBe(
      'much fails at the moment, so repeated attempts are limited to 10 % of all',
    );
    expect(retriesReason(lane, recent, 10)).toBeNull();
    expect(retriesReason(retry, { all: 59, retries: 0 }, 0)).toMatch(/^much fails on most instances/);
    expect(retriesReason(lane, recent, 0)).toBeNull();
    expect(retriesReason(retry, { all: 59, retries: 5 }, 10)).toBeNull();
  });

  it('names storage that is away to jobs that take files, and to those alone', () => {
    const files = { ...lane, takesFiles: true };
    expect(storageReason(files, true)).toBe('the storage of the gateway does not answer');
    expect(storageReason(files, false)).toBeNull();
    expect(storageReason(lane, true)).toBeNull();
  });

  it('names the cap of the tenant, once it is reached', () => {
    expect(tenantReason(2, 2)).toBe('as many jobs of its owner run at once as may (2)');
    expect(tenantReason(1, 2)).toBeNull();
    expect(tenantReason(9, null)).toBeNull();
  });

  it('says that a suspect waits for an empty instance, unless it merely waits for a place', () => {
    const suspect = { ...lane, isSuspect: true };
    const half = candidate({ capacity: 2, takenSlots: [0] });
    const waits = 'an instance went down with the job, so it waits for one without any other prompt';
    expect(isolationReason(suspect, NEEDS, [half])).toBe(waits);
    expect(isolationReason(lane, NEEDS, [half])).toBeNull();
    expect(isolationReason(suspect, NEEDS, [half, candidate({})])).toBeNull();
    expect(isolationReason(suspect, NEEDS, [candidate({ takenSlots: [0] })])).toBeNull();
    expect(isolationReason(suspect, NEEDS, [candidate({ foreignPrompts: 1 })])).toBe(waits);
  });
});
