import { expect, it, onTestFinished } from 'vitest';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import type { Fleet } from '../../src/fleet/fleet.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { Background } from '../../src/scheduler/background.ts';
import { Wishes } from '../../src/scheduler/wishes.ts';
import { findDoneWish, insertWish } from '../../src/store/wishes.ts';
import { openTempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const MINUTE = 60_000;

/** Wishes in a fleet that can do nothing. */
async function hopeless() {
  const temp = await openTempStore();
  onTestFinished(() => temp.close());
  const { store } = temp;
  const clock = new VirtualClock();
  const errors: string[] = [];
  const logger = createLogger('error', { write: (line) => void errors.push(JSON.parse(line).wish) });
  const broken = async () => {
    throw new Error('no such thing');
  };
  const background = new Background(logger);
  const wishes = new Wishes(
    {
      ...{ store, clock, logger, background, bus: new MemoryBus() },
      fleet: { adopt: broken } as unknown as Fleet,
      removals: { remove: broken },
      signal: new AbortController().signal,
      onFreed: () => undefined,
    },
    1,
  );
  const look = async (): Promise<void> => {
    await wishes.carryOut(() => true);
    await background.settled(clock, MINUTE);
  };
  return { store, clock, errors, look };
}

it.each(['adopt', 'remove'] as const)(
  'a wish to %s that fails again and again is given up after minutes, and logged twice',
  async (kind) => {
    const { store, clock, errors, look } = await hopeless();
    await insertWish(store.db, { id: 'w', instanceId: 'i', kind, askedAt: 0 });
    for (let second = 0; second < 299; second++) {
      await look();
      await clock.advance(1000);
    }
    expect(await findDoneWish(store.db, 'w')).toBeNull();
    for (let second = 0; second < 3; second++) {
      await look();
      await clock.advance(1000);
    }
    expect((await findDoneWish(store.db, 'w'))?.error).toMatch(/^it could not be done/);
    await look();
    expect(errors).toEqual([kind, kind]);
  },
);
