import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { Background } from '../../src/scheduler/background.ts';
import { StorageWatch } from '../../src/scheduler/storage-watch.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

function setUp() {
  const clock = new VirtualClock();
  const logger = createLogger('silent');
  const background = new Background(logger);
  const ended = new AbortController();
  const seen = { looks: 0, wakes: 0, isAway: false };
  const freeBytes = async (): Promise<null> => {
    seen.looks++;
    if (seen.isAway) throw new Error('away');
    return null;
  };
  const wake = (): void => {
    seen.wakes++;
  };
  const parts = { storage: { freeBytes }, clock, logger, background, signal: ended.signal, wake };
  return { watch: new StorageWatch(parts), clock, seen, ended, background };
}

describe('the watch on storage', () => {
  it('looks at once when a run could not read a file: storage that answers is not away', async () => {
    const { watch, clock, seen } = setUp();
    expect(watch.isAway).toBe(false);
    watch.failed();
    await clock.advance(0);
    expect(watch.isAway).toBe(false);
    expect(seen).toMatchObject({ looks: 1, wakes: 1 });
  });

  it('looks more and more seldom while it is away, for all runs together, and wakes when it is back', async () => {
    const { watch, clock, seen } = setUp();
    seen.isAway = true;
    watch.failed();
    watch.failed();
    await clock.advance(60_000);
    expect(watch.isAway).toBe(true);
    expect(seen.wakes).toBe(0);
    // 0, 0.5, 1.5, 3.5, 7.5, then every 5 s
    expect(seen.looks).toBe(15);
    seen.isAway = false;
    await clock.advance(5000);
    expect(watch.isAway).toBe(false);
    expect(seen.wakes).toBe(1);
    watch.failed();
    expect(watch.isAway).toBe(true);
  });

  it('ends with its term', async () => {
    const { watch, clock, seen, ended, background } = setUp();
    seen.isAway = true;
    watch.failed();
    await clock.advance(1000);
    ended.abort();
    await background.settled(clock, 1000);
    const { looks } = seen;
    await clock.advance(60_000);
    expect(seen.looks).toBe(looks);
  });
});
