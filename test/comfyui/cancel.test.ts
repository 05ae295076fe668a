import { describe, expect, it } from 'vitest';
import { type CancelOutcome, cancelPrompt } from '../../src/comfyui/cancel.ts';
import { type HistoryEntry, parseHistoryEntry } from '../../src/comfyui/history.ts';
import type { HttpFailure } from '../../src/comfyui/http-failure.ts';
import type { Queue, QueueItem } from '../../src/comfyui/queue.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const PROMPT = 'p';
const DOWN: HttpFailure = { ok: false, reason: 'refused', message: 'ECONNREFUSED' };
const DONE = { ok: true, value: null } as const;

/** What the instance does with the prompt in one round, told when the queue is read. */
type Place = 'running' | 'pending' | 'absent' | 'down';

/** An instance that goes through the given places, staying at the last one, and ends the prompt as told. */
function instance(places: readonly Place[], end: string | null = null) {
  const calls: string[] = [];
  let round = 0;
  const place = (): Place => places[Math.min(round, places.length - 1)] ?? 'absent';
  const item: QueueItem = { promptId: PROMPT, number: 1, clientId: null, extraData: {} };
  const entry: HistoryEntry | null =
    end === null ? null : parseHistoryEntry(PROMPT, { status: { messages: [[end, {}]] } });
  const http: Parameters<typeof cancelPrompt>[0] = {
    async deleteFromQueue([promptId]) {
      calls.push(`delete ${promptId}`);
      return place() === 'down' ? DOWN : DONE;
    },
    async getQueue() {
      const queue: Queue = {
        running: place() === 'running' ? [item] : [],
        pending: place() === 'pending' ? [item] : [],
      };
      calls.push(place());
      round++;
      return { ok: true, value: queue };
    },
    async interrupt(promptId) {
      calls.push(`interrupt ${promptId}`);
      return DONE;
    },
    async getHistoryEntry(promptId) {
      calls.push(`history ${promptId}`);
      return { ok: true, value: entry };
    },
  };
  return { http, calls };
}

async function cancel(
  http: Parameters<typeof cancelPrompt>[0],
  signal?: AbortSignal,
): Promise<CancelOutcome> {
  const clock = new VirtualClock();
  const outcome = cancelPrompt(http, {
    promptId: PROMPT,
    clock,
    withinMs: 5000,
    ...(signal ? { signal } : {}),
  });
  await clock.advance(10_000);
  expect(clock.pending).toBe(0);
  return outcome;
}

describe('cancelPrompt', () => {
  it('removes a prompt that has not run, without interrupting what runs', async () => {
    const { http, calls } = instance(['absent']);
    expect(await cancel(http)).toBe('removed');
    expect(calls).toEqual(['delete p', 'absent', 'history p']);
  });

  it('interrupts again until a running prompt is gone, because an interrupt may be lost', async () => {
    const { http, calls } = instance(['running', 'running', 'absent'], 'execution_interrupted');
    expect(await cancel(http)).toBe('interrupted');
    expect(calls.filter((call) => call === 'interrupt p')).toHaveLength(2);
  });

  it.each(['execution_success', 'execution_error'])(
    'says that the prompt was faster when its history has %s',
    async (end) => {
      const { http } = instance(['running', 'absent'], end);
      expect(await cancel(http)).toBe('finished');
    },
  );

  it('hands out the history of a prompt that ran', async () => {
    const { http } = instance(['running', 'absent'], 'execution_interrupted');
    const told: string[] = [];
    const onEnded = (entry: HistoryEntry) => told.push(entry.promptId);
    const outcome = cancelPrompt(http, { promptId: PROMPT, clock: systemClock, withinMs: 5000, onEnded });
    expect(await outcome).toBe('interrupted');
    expect(told).toEqual([PROMPT]);
  });

  it('deletes again when the prompt is pending still', async () => {
    const { http, calls } = instance(['pending', 'absent']);
    expect(await cancel(http)).toBe('removed');
    expect(calls.filter((call) => call === 'delete p')).toHaveLength(2);
    expect(calls).not.toContain('interrupt p');
  });

  it('calls a prompt that no interrupt ends stuck when the time is up, without hammering the instance', async () => {
    const { http, calls } = instance(['running']);
    expect(await cancel(http)).toBe('stuck');
    const rounds = calls.filter((call) => call === 'interrupt p').length;
    expect(rounds).toBeGreaterThan(10);
    expect(rounds).toBeLessThan(40);
  });

  it('tells an instance that does not answer from a prompt that is stuck', async () => {
    expect(await cancel(instance(['down']).http)).toBe('unreachable');
  });

  it('ends at once when the caller gives up', async () => {
    const { http, calls } = instance(['running']);
    expect(await cancel(http, AbortSignal.abort())).toBe('stuck');
    expect(calls.filter((call) => call === 'interrupt p')).toHaveLength(1);
  });
});
