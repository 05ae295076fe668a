import { describe, expect, it, onTestFinished } from 'vitest';
import type { ComfyHttp } from '../../src/comfyui/http.ts';
import { Guard } from '../../src/fleet/guard.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { SOURCE } from './fleet-rig.ts';

const MINUTE = 60_000;

/** The guard of an instance that takes every prompt and begins none of them. `running`: what it is at instead. */
async function guarded({ running = [] as string[], spare = true }) {
  const clock = new VirtualClock();
  let pending: string[] = [];
  const ok = { ok: true, value: null };
  const items = (ids: readonly string[]) => ids.map((promptId) => ({ promptId }));
  const http = {
    postPrompt: async ({ promptId }: { promptId: string }) => {
      pending.push(promptId);
      return { kind: 'accepted' };
    },
    getQueue: async () => ({ ok: true, value: { running: items(running), pending: items(pending) } }),
    deleteFromQueue: async (ids: readonly string[]) => {
      pending = pending.filter((id) => !ids.includes(id));
      return ok;
    },
    getHistoryEntry: async () => ok,
    deleteFromHistory: async () => ok,
  } as unknown as ComfyHttp;
  let made = 0;
  const guard = new Guard({
    stored: 'CLOSED',
    fleetId: 'fleet',
    http,
    clock,
    random: () => 0.5,
    ids: () => `id ${made++}`,
    logger: createLogger('silent'),
    breaker: { threshold: 3, openMs: 30_000 },
    canaryTimeoutMs: 1000,
    answering: () => true,
    mayAct: () => true,
    nodeTypes: () => null,
    spare: () => spare,
    onChange: () => undefined,
  });
  await guard.start();
  onTestFinished(() => guard.stop());
  return { clock, guard };
}

describe('the guard of an instance', () => {
  it('waits twice as long after each canary that failed', async () => {
    const { clock, guard } = await guarded({});
    guard.experienced({ kind: 'fault', reason: 'it crashed' }, SOURCE);
    for (const openMs of [30_000, 60_000, 120_000]) {
      // the canary does not end in time
      for (let ms = 0; ms < 3000 && guard.state === 'HALF_OPEN'; ms++) await clock.advance(1);
      expect(guard.state).toBe('OPEN');
      await clock.advance(openMs - 1);
      expect(guard.state).toBe('OPEN');
      await clock.advance(1);
      expect(guard.state).toBe('HALF_OPEN');
    }
  });

  it('does not take a long job for a fault, where an instance under doubt still has jobs', async () => {
    const { clock, guard } = await guarded({ running: ['a video'], spare: false });
    for (const jobId of ['a', 'b']) {
      guard.experienced({ kind: 'quick-failure', jobId, reason: 'ValueError' }, SOURCE);
    }
    for (let minute = 0; minute < 60; minute++) {
      await clock.advance(MINUTE);
      guard.answered(false);
      expect([guard.state, guard.canaryId]).toEqual(['CLOSED', expect.any(String)]);
    }
  });

  it('gives up a canary behind a prompt that never ends, where nobody else gets on', async () => {
    const { clock, guard } = await guarded({ running: ['a video'] });
    guard.experienced({ kind: 'fault', reason: 'it crashed' }, SOURCE);
    await clock.advance(9 * MINUTE);
    expect(guard.state).toBe('HALF_OPEN');
    await clock.advance(MINUTE + 5000);
    expect(guard.state).toBe('OPEN');
  });
});
