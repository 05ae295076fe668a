import { describe, expect, it } from 'vitest';
import type { QueueItem } from '../../../src/comfyui/queue.ts';
import { look } from '../../../src/scheduler/runs/look.ts';

const item = (promptId: string): QueueItem => ({
  promptId,
  number: 0,
  clientId: `client of ${promptId}`,
  extraData: {},
});

async function sightingOf(promptId: string, running: readonly string[], pending: readonly string[]) {
  const queue = { running: running.map(item), pending: pending.map(item) };
  const wire = {
    getQueue: async () => ({ ok: true, value: queue }) as const,
    getHistoryEntry: async () => ({ ok: true, value: null }) as const,
  };
  return look(wire, promptId, 1000, new AbortController().signal);
}

describe('looking a prompt up', () => {
  it('tells what it must wait for: what runs, and what comes before it (F13)', async () => {
    expect((await sightingOf('b', ['x'], ['a', 'b', 'c'])).sighting).toEqual({
      kind: 'queued',
      running: false,
      ahead: 2,
    });
    expect((await sightingOf('a', [], ['a', 'b'])).sighting).toEqual({
      kind: 'queued',
      running: false,
      ahead: 0,
    });
    expect((await sightingOf('x', ['y', 'x'], ['a'])).sighting).toEqual({
      kind: 'queued',
      running: true,
      ahead: 0,
    });
  });

  it('takes an instance for gone only where its machine says that nobody listens, not for a network that is down', async () => {
    const seen = async (message: string) => {
      const failure = { ok: false, reason: 'refused', message } as const;
      const wire = { getQueue: async () => failure, getHistoryEntry: async () => failure };
      return (await look(wire, 'a', 1000, new AbortController().signal)).sighting.kind;
    };
    expect(await seen('ECONNREFUSED')).toBe('refused');
    for (const code of ['ENETUNREACH', 'EHOSTUNREACH', 'ENOTFOUND', 'UND_ERR_CONNECT_TIMEOUT']) {
      expect(await seen(code)).toBe('silent');
    }
  });

  it('tells whom its messages go to, where the queue knows', async () => {
    expect((await sightingOf('a', [], ['a'])).clientId).toBe('client of a');
    expect(await sightingOf('gone', ['x'], ['a'])).toEqual({ sighting: { kind: 'absent' }, clientId: null });
  });
});
