import { describe, expect, it } from 'vitest';
import { Alarm } from '../../../src/scheduler/runs/alarm.ts';
import { flush, VirtualClock } from '../../support/virtual-clock.ts';

function waiting(alarm: Alarm, ms: number, signal = new AbortController().signal): { done: boolean } {
  const state = { done: false };
  void alarm.wait(ms, signal).then(() => {
    state.done = true;
  });
  return state;
}

describe('the alarm', () => {
  it('ends a wait by time, leaving no timer', async () => {
    const clock = new VirtualClock();
    const wait = waiting(new Alarm(clock), 100);
    await clock.advance(99);
    expect(wait.done).toBe(false);
    await clock.advance(1);
    expect(wait.done).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('ends a wait by a ring or an abort', async () => {
    const clock = new VirtualClock();
    const alarm = new Alarm(clock);
    const rung = waiting(alarm, 100);
    await flush();
    alarm.ring();
    await flush();
    expect(rung.done).toBe(true);
    const abort = new AbortController();
    const aborted = waiting(alarm, 100, abort.signal);
    await flush();
    abort.abort();
    await flush();
    expect(aborted.done).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('remembers one ring that came while nobody waited', async () => {
    const clock = new VirtualClock();
    const alarm = new Alarm(clock);
    alarm.ring();
    alarm.ring();
    const first = waiting(alarm, 100);
    await flush();
    expect(first.done).toBe(true);
    const second = waiting(alarm, 100);
    await flush();
    expect(second.done).toBe(false);
    await clock.advance(100);
  });
});
