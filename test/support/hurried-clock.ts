/** Real time that runs so many times faster: for tests with real sockets and long patience. */
import { type Clock, systemClock } from '../../src/lib/clock.ts';

export function hurriedClock(times: number): Clock {
  const startedAt = systemClock.now();
  return {
    now: () => startedAt + (systemClock.now() - startedAt) * times,
    monotonic: () => systemClock.monotonic() * times,
    after: (ms, callback) => systemClock.after(ms / times, callback),
  };
}
