import { describe, expect, it } from 'vitest';
import { blockedReason } from '../../src/scheduler/blocked-reason.ts';
import type { Candidate } from '../../src/scheduler/candidate.ts';

const NEEDS = { nodeTypes: ['SaveImage', 'Rembg'], models: ['x.safetensors'] };
const FULL = { nodeTypes: ['SaveImage', 'Rembg'], models: [{ kind: 'checkpoints', name: 'x.safetensors' }] };

function candidate(fields: Partial<Candidate>): Candidate {
  return {
    id: 'a',
    capacity: 1,
    takenSlots: [],
    foreignPrompts: 0,
    health: 'HEALTHY',
    answering: true,
    draining: false,
    inventory: FULL,
    loadedModels: [],
    ...fields,
  };
}

describe('the reason a class of jobs is left waiting', () => {
  const down = candidate({ health: 'UNHEALTHY', answering: false });
  const fresh = candidate({ health: 'UNKNOWN', answering: false });
  const cases: [string, Candidate[], string | null][] = [
    ['nothing is configured', [], 'no instances are configured'],
    ['everyone is down', [down, down], 'no healthy instance (2 of 2 are unreachable)'],
    ['the only one is down', [down], 'no healthy instance (1 of 1 is unreachable)'],
    [
      'one is down, one was not asked yet',
      [down, fresh],
      'no healthy instance (1 of 2 is unreachable, 1 of 2 has not answered yet)',
    ],
    ['all drain', [candidate({ draining: true })], 'all instances are draining'],
    ['those that are up drain', [candidate({ draining: true }), down], 'all healthy instances are draining'],
    [
      'a model is nowhere',
      [candidate({ inventory: { ...FULL, models: [] } })],
      'no healthy instance has model x.safetensors',
    ],
    [
      'the one that has the model is down',
      [down, candidate({ inventory: { ...FULL, models: [] } })],
      'no healthy instance has model x.safetensors',
    ],
    [
      'several things are nowhere',
      [candidate({ inventory: { nodeTypes: [], models: [] } })],
      'no healthy instance has model x.safetensors and node type SaveImage and 1 more',
    ],
    [
      'each lacks another thing',
      [
        candidate({ inventory: { ...FULL, models: [] } }),
        candidate({ inventory: { ...FULL, nodeTypes: ['SaveImage'] } }),
      ],
      'no healthy instance has all that the workflow needs; the closest lacks model x.safetensors',
    ],
    ['lists are not read yet', [candidate({ inventory: null })], null],
    ['an able one is busy', [candidate({ takenSlots: [0] })], null],
  ];

  for (const [what, fleet, reason] of cases) {
    it(`is right when ${what}`, () => {
      expect(blockedReason('key', NEEDS, fleet)).toBe(reason);
    });
  }
});
