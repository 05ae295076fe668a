/** Figures on their way into the rollups: in every cut and every width they are kept in, each cell once. */
import { type Cell, mergeCells } from '../domain/metric-cell.ts';
import { expiredBefore } from '../domain/metric-kept.ts';
import {
  ALL_TIME,
  bucketOf,
  type Cut,
  cutsOf,
  dimensionsOf,
  type Measure,
  type MetricKey,
  type Width,
  widthsOf,
} from '../domain/metric-measure.ts';
import { type Increment, seriesText } from '../store/rollups.ts';

/** Buckets older than are kept any more get nothing: epoch ms, and METRICS_RETENTION_MS. */
export interface Kept {
  readonly now: number;
  readonly retentionMs: number;
}

/** What the bucket that begins at `bucket` gets. */
export interface Part {
  readonly bucket: number;
  readonly cell: Cell;
}

export class Increments {
  readonly #kept = new Map<string, Increment>();
  readonly #limits: Kept;

  constructor(limits: Kept) {
    this.#limits = limits;
  }

  /** Something that happened at a moment (epoch ms). */
  at(measure: Measure, key: MetricKey, at: number, cell: Cell): void {
    this.#spread(measure, key, (width) =>
      isKept(width, at, this.#limits) ? [{ bucket: bucketOf(width, at), cell }] : [],
    );
  }

  /** Something that took from one moment to another; `cellOf` a part of so many ms. */
  during(measure: Measure, key: MetricKey, time: Time, cellOf: (ms: number) => Cell): void {
    this.#spread(measure, key, (width) =>
      partsOf(width, time, this.#limits).map(({ bucket, ms }) => ({ bucket, cell: cellOf(ms) })),
    );
  }

  all(): Increment[] {
    return [...this.#kept.values()];
  }

  #spread(measure: Measure, key: MetricKey, partsIn: (width: Width) => readonly Part[]): void {
    for (const cut of cutsOf(measure)) {
      const series = { measure, cut, key: keyIn(measure, cut, key) };
      const name = seriesText(series);
      for (const width of widthsOf(measure, cut)) {
        for (const { bucket, cell } of partsIn(width)) {
          const place = `${name} ${width} ${bucket}`;
          const known = this.#kept.get(place);
          this.#kept.set(place, { series, width, bucket, cell: known ? mergeCells(known.cell, cell) : cell });
        }
      }
    }
  }
}

/** Epoch ms. */
export interface Time {
  readonly from: number;
  readonly to: number;
}

/** How many ms of a time lie in each bucket, ascending; nothing of what is kept no more. */
export function partsOf(
  width: Width,
  { from, to }: Time,
  limits: Kept,
): { readonly bucket: number; readonly ms: number }[] {
  if (to <= from) return [];
  if (width === ALL_TIME) return [{ bucket: 0, ms: to - from }];
  const oldest = Math.ceil(expiredBefore(width, limits.now, limits.retentionMs) / width) * width;
  const parts = [];
  for (let at = Math.max(from, oldest); at < to; ) {
    const bucket = bucketOf(width, at);
    const end = Math.min(to, bucket + width);
    parts.push({ bucket, ms: end - at });
    at = end;
  }
  return parts;
}

/** The bucket of a moment is still kept. */
export function isKept(width: Width, at: number, { now, retentionMs }: Kept): boolean {
  return bucketOf(width, at) >= expiredBefore(width, now, retentionMs);
}

function keyIn(measure: Measure, cut: Cut, key: MetricKey): MetricKey {
  return Object.fromEntries(dimensionsOf(measure, cut).map((dimension) => [dimension, key[dimension] ?? '']));
}
