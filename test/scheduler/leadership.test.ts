import { afterEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { Leadership } from '../../src/scheduler/leadership.ts';
import { openTempStore, type TempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

let temp: TempStore | undefined;

afterEach(async () => {
  await temp?.close();
  temp = undefined;
});

describe('leadership', () => {
  it('is of one process at a time, and each term is greater than those before', async () => {
    temp = await openTempStore();
    const { db } = temp.store;
    const clock = new VirtualClock();
    const logger = createLogger('silent');
    const first = new Leadership({ db, clock, holder: 'a', logger });
    const second = new Leadership({ db, clock, holder: 'b', logger });
    const term = await first.take();
    await expect(second.take()).rejects.toThrow('another process leads');
    await clock.advance(20_000);
    expect(await first.keep()).toBe(true);
    await first.release();
    expect(first.leads).toBe(false);
    expect(await second.take()).toBeGreaterThan(term);
  });

  it('ends when another has taken over after a long silence', async () => {
    temp = await openTempStore();
    const { db } = temp.store;
    const clock = new VirtualClock();
    const logger = createLogger('silent');
    const first = new Leadership({ db, clock, holder: 'a', logger });
    const second = new Leadership({ db, clock, holder: 'b', logger });
    await first.take();
    await clock.advance(60_000);
    await second.take();
    expect(await first.keep()).toBe(false);
    expect(first.leads).toBe(false);
    expect(await second.keep()).toBe(true);
  });
});
