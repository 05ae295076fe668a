/**
 * Figures for whoever asks. Those of the last hour are shared by all who watch them: read anew when somebody asks and those at
 * hand are older than a moment; while nobody asks nothing is read. What queries ask is read for a few of them at a time, so
 * that a page of panels leaves connections to the store for everybody else.
 */
import type { Clock } from '../lib/clock.ts';
import type { Gate } from '../lib/gate.ts';
import { FleetFigures } from '../metrics/fleet-figures.ts';
import { readSeries, type SeriesAnswer } from '../metrics/series/metric-series.ts';
import type { SeriesRequest } from '../metrics/series/request.ts';
import type { TimeRange } from '../metrics/window.ts';
import type { Db } from '../store/open.ts';

export interface BoardParts {
  readonly db: Db;
  readonly clock: Clock;
  readonly retentionMs: number;
  /** Lets a few reads at a time through to the store, for those who watch. */
  readonly gate: Gate;
  /** The same for those who ask. */
  readonly askedGate: Gate;
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

  /** Of any time, read when they are first looked at. */
  of(range: Pick<TimeRange, 'from' | 'to' | 'now'>): FleetFigures {
    const { db, retentionMs, askedGate: gate } = this.#parts;
    return new FleetFigures({ db, gate }, { ...range, retentionMs });
  }

  series(request: SeriesRequest): Promise<SeriesAnswer> {
    const { db, askedGate } = this.#parts;
    return askedGate.run(() => readSeries(db, request));
  }

  /** Of the last hour, at most a moment old. */
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
