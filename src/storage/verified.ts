/**
 * Bytes on their way, checked against what they must be: their number, their SHA-256, and that they keep coming. The last
 * piece is held back until all is known to be right, so that a wrong end is an error and never a short success.
 */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Clock } from '../lib/clock.ts';
import { unavailable } from './s3-problem.ts';
import { StorageUnavailable } from './storage-unavailable.ts';

export interface Expected {
  readonly bytes: number;
  /** Null: only a part, whose hash nobody knows. */
  readonly sha256: string | null;
}

export interface Patience {
  readonly clock: Clock;
  /** How long the next piece may take once it is asked for; a reader that does not ask is not counted. */
  readonly stallMs: number;
}

/** The same bytes. @throws StorageUnavailable, also instead of the last piece, when they are not what was expected, or stop coming. */
export async function* verified(
  source: Readable,
  expected: Expected,
  patience: Patience,
): AsyncGenerator<Uint8Array> {
  const reader = source[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const hash = expected.sha256 === null ? null : createHash('sha256');
  let bytes = 0;
  let held: Uint8Array | null = null;
  // what goes wrong after we have gone concerns nobody
  source.on('error', () => undefined);
  try {
    for (;;) {
      const { done, value } = await orStalled(reader.next(), patience);
      if (done) break;
      bytes += value.byteLength;
      if (bytes > expected.bytes)
        throw new StorageUnavailable(`more than the ${expected.bytes} bytes announced`);
      hash?.update(value);
      if (held) yield held;
      held = value;
    }
    if (bytes !== expected.bytes) throw new StorageUnavailable(`${bytes} of ${expected.bytes} bytes came`);
    if (hash && hash.digest('hex') !== expected.sha256)
      throw new StorageUnavailable('the bytes are not those of their name');
    if (held) yield held;
  } catch (error) {
    throw unavailable(error);
  } finally {
    source.destroy();
  }
}

async function orStalled<T>(next: Promise<T>, { clock, stallMs }: Patience): Promise<T> {
  let give: (error: Error) => void = () => undefined;
  const stalled = new Promise<never>((_, reject) => {
    give = reject;
  });
  const timer = clock.after(stallMs, () => give(new StorageUnavailable(`nothing came for ${stallMs} ms`)));
  try {
    return await Promise.race([next, stalled]);
  } finally {
    timer.cancel();
  }
}
