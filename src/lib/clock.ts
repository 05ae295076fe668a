/** Time, passed in: production uses the machine's, tests move their own (test/support/virtual-clock.ts). */
export interface Clock {
  /** Wall clock in epoch milliseconds: for rows and for people. */
  now(): number;
  /** Milliseconds from an arbitrary start that never jump: for durations. */
  monotonic(): number;
  /** Runs `callback` once after `ms`; the owner of the timer must cancel it when it stops. */
  after(ms: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, callback) {
    const handle = setTimeout(callback, ms);
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves after `ms`, or at once when the signal aborts; true when the whole time went by. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve(false);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      resolve(false);
    };
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve(true);
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
