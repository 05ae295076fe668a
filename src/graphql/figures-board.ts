/**
 * The figures of the last hour, for all who watch them: read anew when somebody asks and those at hand are older than a
 * moment. While nobody asks nothing is read.
 */

import type { Clock } from '../lib/clock.ts';
import { type FiguresSource, FleetFigures } from '../metrics/fleet-figures.ts';

export interface BoardParts extends FiguresSource {
  readonly clock: Clock;
  readonly retentionMs: number;
}

/** Half of the shortest time between two rows of a watcher, so that none is sent the same figures twice. */
const MOMENT_MS = 250;
const HOUR_MS = 3_600_000;

export class FiguresBoard {
  readonly #parts: BoardParts;
  #latest: { readonly tick: number; readonly figures: FleetFigures } | null = null;

  constructor(parts: BoardParts) {
    this.#parts = parts;
  }

  /** At most a moment old. */
  latest(): FleetFigures {
    const { clock, retentionMs } = this.#parts;
    const tick = clock.monotonic();
    if (!this.#latest || tick - this.#latest.tick >= MOMENT_MS) {
      const now = clock.now();
      const range = { from: now - HOUR_MS, to: now, now, retentionMs };
      this.#latest = { tick, figures: new FleetFigures(this.#parts, range) };
    }
    return this.#latest.figures;
  }
}
