import { describe, expect, it } from 'vitest';
import type { HttpFailureReason } from '../../../src/comfyui/http-failure.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { Presence } from '../../../src/scheduler/runs/presence.ts';
import { RoomWait } from '../../../src/scheduler/transfers/room-wait.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

type Answer = 'ok' | HttpFailureReason;

function rig(answers: readonly Answer[]) {
  const clock = new VirtualClock();
  const giveUp = new AbortController();
  let asked = 0;
  const getPromptCount = async () => {
    const answer = answers[Math.min(asked++, answers.length - 1)] ?? 'ok';
    if (answer === 'timeout') await new Promise<void>((resolve) => clock.after(3000, resolve));
    return answer === 'ok'
      ? ({ ok: true, value: 0 } as const)
      : ({ ok: false, reason: answer, message: answer === 'refused' ? 'ECONNREFUSED' : answer } as const);
  };
  const limits = { probeTimeoutMs: 3000, refusedLostMs: 10_000, unreachableLostMs: 45_000 };
  const presence = new Presence({ http: { getPromptCount }, clock, ...limits }, giveUp.signal);
  return { clock, presence, giveUp, asked: () => asked };
}

/** What it found, and after how many seconds. */
async function found({ clock, presence }: ReturnType<typeof rig>): Promise<[string, number]> {
  const since = clock.now();
  let result: string | undefined;
  void presence.find().then((value) => {
    result = value;
  });
  while (result === undefined) await clock.advance(500);
  return [result, Math.round((clock.now() - since) / 1000)];
}

describe('whether an instance is there to fetch from', () => {
  it('asks once when it answers, whatever it says', async () => {
    for (const answer of ['ok', 'status', 'malformed'] as const) {
      const one = rig([answer]);
      expect((await found(one))[0]).toBe('there');
      expect([one.asked(), one.presence.wasAway]).toEqual([1, false]);
    }
  });

  it('waits for one that refuses, and finds it back (F12)', async () => {
    const one = rig(['refused', 'refused', 'refused', 'ok']);
    expect(await found(one)).toEqual(['back', 3]);
    expect(one.presence.wasAway).toBe(true);
  });

  it('calls one that refuses lost after the bound for refusals, a silent one after its own (F12)', async () => {
    const refused = await found(rig(['refused']));
    expect(refused[0]).toBe('lost');
    expect(refused[1]).toBeGreaterThanOrEqual(10);
    expect(refused[1]).toBeLessThanOrEqual(11);
    const silent = await found(rig(['timeout']));
    expect(silent[0]).toBe('lost');
    expect(silent[1]).toBeGreaterThanOrEqual(45);
    expect(silent[1]).toBeLessThanOrEqual(50);
  });

  it('asks one question for many files at once', async () => {
    const one = rig(['refused', 'ok']);
    const all = Promise.all([one.presence.find(), one.presence.find(), one.presence.find()]);
    await one.clock.advance(2000);
    expect(await all).toEqual(['back', 'back', 'back']);
    expect(one.asked()).toBe(2);
  });

  it('ends at once when nobody wants to know any more', async () => {
    const one = rig(['refused']);
    const finding = one.presence.find();
    await one.clock.advance(100);
    one.giveUp.abort();
    await one.clock.advance(0);
    expect(await finding).toBe('lost');
    expect(one.clock.pending).toBe(0);
  });
});

describe('patience with full storage (F35)', () => {
  it('waits longer each time, as long as it has patience, and anew after there was room', async () => {
    const clock = new VirtualClock();
    const room = new RoomWait(clock, createLogger('silent'), 60_000);
    const never = new AbortController().signal;
    const waits: number[] = [];
    const untilGivenUp = async (): Promise<void> => {
      let over = false;
      void (async () => {
        for (let tries = 1; ; tries++) {
          const since = clock.now();
          if (!(await room.wait('full', tries, never))) break;
          waits.push(clock.now() - since);
        }
        over = true;
      })();
      while (!over) await clock.advance(500);
    };
    await untilGivenUp();
    expect(waits).toEqual([1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
    room.over();
    waits.length = 0;
    await untilGivenUp();
    expect(waits[0]).toBe(1000);
  });
});
