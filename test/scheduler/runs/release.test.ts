import { describe, expect, it } from 'vitest';
import type { CancelOutcome } from '../../../src/comfyui/cancel.ts';
import type { Experience } from '../../../src/fleet/breaker.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { type Releasable, release } from '../../../src/scheduler/runs/release.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

class Unwanted {
  readonly clock = new VirtualClock();
  readonly experiences: Experience[] = [];
  readonly stop = new AbortController();
  readonly left = new AbortController();
  /** What the next rounds of canceling come to; the last one goes on for ever. */
  outcomes: CancelOutcome[];
  rounds = 0;
  readonly run: Releasable;

  constructor(outcomes: CancelOutcome[], posted: Releasable['posted'] = 'accepted') {
    this.outcomes = outcomes;
    const { clock, experiences } = this;
    const config = { probeTimeoutMs: 3000, unreachableLostMs: 45_000, submitGraceMs: 30_000 };
    const cancel = async (): Promise<CancelOutcome> => {
      this.rounds++;
      return (this.outcomes.length > 1 ? this.outcomes.shift() : this.outcomes[0]) ?? 'removed';
    };
    const member = { cancel, experienced: (experience: Experience) => experiences.push(experience) };
    this.run = {
      promptId: 'prompt',
      posted,
      postedAt: 0,
      stopSignal: this.stop.signal,
      partingSignal: AbortSignal.any([this.stop.signal, this.left.signal]),
      logger: createLogger('silent'),
      unwantedSince: null,
      isStuck: false,
      historyRead: () => undefined,
      parts: { clock, config },
      subject: { job: { tenant: 'acme', workflow: 'txt2img', needsKey: 'n' }, member },
    };
  }

  /** What release answers, once it does. */
  release(withinMs = Number.POSITIVE_INFINITY): { answer: boolean | undefined } {
    const result: { answer: boolean | undefined } = { answer: undefined };
    void release(this.run, withinMs).then((answer) => {
      result.answer = answer;
    });
    return result;
  }
}

describe('letting go of a prompt', () => {
  it('asks again each second while interrupts are lost (F23)', async () => {
    const unwanted = new Unwanted(['stuck', 'stuck', 'stuck', 'stuck', 'interrupted']);
    const result = unwanted.release();
    await unwanted.clock.advance(3500);
    expect(result.answer).toBeUndefined();
    await unwanted.clock.advance(1000);
    expect(result.answer).toBe(true);
    expect(unwanted.rounds).toBe(5);
    expect(unwanted.experiences).toEqual([]);
    expect(unwanted.run.isStuck).toBe(false);
  });

  it('calls the instance stuck after 30 s, once, and goes on until it lets go (F23)', async () => {
    const unwanted = new Unwanted(['stuck']);
    const result = unwanted.release();
    await unwanted.clock.advance(29_500);
    expect(unwanted.run.isStuck).toBe(false);
    await unwanted.clock.advance(60_000);
    expect(unwanted.run.isStuck).toBe(true);
    expect(unwanted.experiences).toMatchObject([{ kind: 'fault' }]);
    expect(result.answer).toBeUndefined();
    unwanted.outcomes = ['finished'];
    await unwanted.clock.advance(2000);
    expect(result.answer).toBe(true);
  });

  it('counts the time from the first try, over a bounded first part (F46)', async () => {
    const unwanted = new Unwanted(['stuck']);
    const first = unwanted.release(5000);
    await unwanted.clock.advance(6000);
    expect(first.answer).toBe(false);
    unwanted.release();
    await unwanted.clock.advance(25_000);
    expect(unwanted.run.isStuck).toBe(true);
    unwanted.stop.abort();
  });

  it('does not believe in a removal while the POST may still arrive', async () => {
    const unwanted = new Unwanted(['removed'], 'unanswered');
    const result = unwanted.release();
    await unwanted.clock.advance(29_000);
    expect(result.answer).toBeUndefined();
    await unwanted.clock.advance(2000);
    expect(result.answer).toBe(true);
  });

  it('gives up an instance that does not answer any more, which is not stuck', async () => {
    const unwanted = new Unwanted(['unreachable']);
    const result = unwanted.release();
    await unwanted.clock.advance(47_000);
    expect(result.answer).toBe(true);
    expect(unwanted.run.isStuck).toBe(false);
  });

  it('has nothing to do for a prompt that was never posted, and ends with the process', async () => {
    const never = new Unwanted(['stuck'], 'no');
    const done = never.release();
    await never.clock.advance(0);
    expect(done.answer).toBe(true);
    expect(never.rounds).toBe(0);
    const stopped = new Unwanted(['stuck']);
    const result = stopped.release();
    await stopped.clock.advance(1500);
    stopped.stop.abort();
    await stopped.clock.advance(0);
    expect(result.answer).toBe(false);
    expect(stopped.clock.pending).toBe(0);
  });
});
