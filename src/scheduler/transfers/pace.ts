/**
 * Watches how fast bytes come: slower than the floor over a whole window is as good as never. Only time spent waiting for
 * the sender counts, so that a slow disk of our own is not blamed on it.
 */
import type { Clock } from '../../lib/clock.ts';

const WINDOW_MS = 30_000;
const SLOT_MS = 1000;

/** Bytes of the last window. Times are ms of waiting since the transfer began. Pure. */
export class Pace {
  readonly #bytesPerSecond: number;
  readonly #windowMs: number;
  readonly #slots: { readonly from: number; bytes: number }[] = [];

  constructor(bytesPerSecond: number, windowMs = WINDOW_MS) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#windowMs = windowMs;
  }

  /** Takes note of what came; true when the last window, if one has passed, brought too little. */
  isTooSlow(bytes: number, waitedMs: number): boolean {
    const last = this.#slots.at(-1);
    if (last && waitedMs - last.from < SLOT_MS) last.bytes += bytes;
    else this.#slots.push({ from: waitedMs, bytes });
    while ((this.#slots[0]?.from ?? waitedMs) < waitedMs - this.#windowMs) this.#slots.shift();
    if (waitedMs < this.#windowMs) return false;
    const came = this.#slots.reduce((sum, slot) => sum + slot.bytes, 0);
    return came < (this.#bytesPerSecond * this.#windowMs) / 1000;
  }
}

/** The sender broke off or was too slow; `cause` says how. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}

export interface Floor {
  readonly bytesPerSecond: number;
  readonly clock: Clock;
  /** Hears of every piece before it is passed on; a message ends the transfer with it. */
  readonly onBytes: (bytes: number) => string | null;
}

/** The same bytes; every error of the source comes as a SourceError, and so does one that is too slow. */
export async function* paced(
  source: AsyncIterable<Uint8Array>,
  { bytesPerSecond, clock, onBytes }: Floor,
): AsyncGenerator<Uint8Array> {
  const pace = new Pace(bytesPerSecond);
  const reader = source[Symbol.asyncIterator]();
  let waitedMs = 0;
  try {
    for (;;) {
      const askedAt = clock.monotonic();
      const { done, value } = await reader.next().catch((cause: unknown) => {
        throw new SourceError(cause instanceof Error ? cause.message : 'the body broke off', { cause });
      });
      if (done) return;
      waitedMs += clock.monotonic() - askedAt;
      const problem = onBytes(value.byteLength);
      if (problem !== null) throw new SourceError(problem);
      if (pace.isTooSlow(value.byteLength, waitedMs)) {
        throw new SourceError(`slower than ${bytesPerSecond} bytes a second`);
      }
      yield value;
    }
  } finally {
    await reader.return?.();
  }
}
