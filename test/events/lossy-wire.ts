/** A wire that loses some of what comes in and lets some of it come late, the same for the same seed. */
import type { Wire } from '../../src/events/wire.ts';
import { forwarding } from './redis-rig.ts';

export interface Losses {
  readonly seed: number;
  /** Of all texts, 0 to 1. */
  readonly lost: number;
  /** Of those that arrive: after the one that follows. */
  readonly late: number;
}

/** Counts what it lost. */
export interface LossyWire {
  readonly through: (wire: Wire) => Wire;
  lost(): number;
}

export function lossyWire({ seed, lost, late }: Losses): LossyWire {
  const random = seeded(seed);
  let count = 0;
  const through = (wire: Wire): Wire => ({
    ...forwarding(wire),
    start(listener) {
      let held: string | null = null;
      const onText = (text: string): void => {
        if (random() < lost) {
          count++;
        } else if (held === null && random() < late) {
          held = text;
        } else {
          listener.onText(text);
          if (held !== null) listener.onText(held);
          held = null;
        }
      };
      wire.start({ ...listener, onText });
    },
  });
  return { through, lost: () => count };
}

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
