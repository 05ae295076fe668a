/**
 * What is measured, by what it is told apart, and how long each fineness is kept. Every figure that the gateway keeps of
 * its past is one of these; graphql/ and metrics/ name and derive what users see from them.
 */

/** How a measure's cells are made: `counter` counts, `total` sums up, `values` keep a histogram, `gauge` too, of samples. */
export type MeasureKind = 'counter' | 'total' | 'values' | 'gauge';

/** What a figure may be told apart by. `instance` is an instance's id; `code` that of a fault. */
export const METRIC_DIMENSIONS = ['instance', 'workflow', 'tenant', 'status', 'code'] as const;
export type Dimension = (typeof METRIC_DIMENSIONS)[number];

interface MeasureFacts {
  readonly kind: MeasureKind;
  readonly dimensions: readonly Dimension[];
}

export const MEASURES = {
  /** Jobs taken in. */
  submitted: { kind: 'counter', dimensions: ['workflow', 'tenant'] },
  /** From submit to the first attempt, ms; where that attempt went. */
  queue_time: { kind: 'values', dimensions: ['instance', 'workflow', 'tenant'] },
  /** Jobs that ended, by JobStatus; the failed ones by their fault; where they ran last. */
  ended: { kind: 'counter', dimensions: ['instance', 'workflow', 'tenant', 'status', 'code'] },
  /** Time on the instance of the attempt that counted, ms, of jobs that ended, by JobStatus. */
  run_time: { kind: 'values', dimensions: ['instance', 'workflow', 'tenant', 'status'] },
  /** Attempts that ended, by AttemptOutcome and fault. */
  attempts: { kind: 'counter', dimensions: ['instance', 'workflow', 'tenant', 'status', 'code'] },
  /** Time on the instance of every attempt, ms, in the buckets in which it was spent. */
  gpu_time: { kind: 'total', dimensions: ['instance', 'workflow', 'tenant'] },
  /** Samples of the fleet: jobs that wait, jobs that instances have, instances that are HEALTHY. */
  queue_depth: { kind: 'gauge', dimensions: [] },
  running: { kind: 'gauge', dimensions: [] },
  instances_healthy: { kind: 'gauge', dimensions: [] },
  /** Samples of each instance: how long its last probe took (ms), memory in use on its GPU (bytes). */
  response_time: { kind: 'gauge', dimensions: ['instance'] },
  vram_used: { kind: 'gauge', dimensions: ['instance'] },
} as const satisfies Record<string, MeasureFacts>;

export type Measure = keyof typeof MEASURES;

/**
 * Figures are kept already added up in these ways, so that long ranges are answered from few rows: for the whole fleet, for
 * each instance, for each workflow, and by everything at once. Status and code, of which there are few, stay apart in all.
 */
export const CUTS = ['fleet', 'instance', 'workflow', 'full'] as const;
export type Cut = (typeof CUTS)[number];

const IN_ALL_CUTS: readonly Dimension[] = ['status', 'code'];

/** By what a measure's rows of a cut are told apart. */
export function dimensionsOf(measure: Measure, cut: Cut): readonly Dimension[] {
  const { dimensions }: MeasureFacts = MEASURES[measure];
  if (cut === 'full') return dimensions;
  return dimensions.filter((dimension) => dimension === cut || IN_ALL_CUTS.includes(dimension));
}

/** The cuts in which a measure is kept: those that tell something apart that the fleet's does not, and only once. */
export function cutsOf(measure: Measure): readonly Cut[] {
  const kept = new Map<string, Cut>();
  for (const cut of CUTS) {
    const key = dimensionsOf(measure, cut).join();
    if (!kept.has(key)) kept.set(key, cut);
  }
  return [...kept.values()];
}

/** A figure's place among those of its measure: what is not told apart is absent. */
export type MetricKey = Readonly<Partial<Record<Dimension, string>>>;

/** Widths of the buckets, ms; 0 is one bucket of all time. Buckets begin at multiples of their width since 1970, UTC. */
export const WIDTHS = [10_000, 60_000, 3_600_000, 86_400_000, 0] as const;
export type Width = (typeof WIDTHS)[number];

export const ALL_TIME: Width = 0;

/**
 * The widths in which a measure is kept in a cut. Of all time there is nothing of gauges, and nothing by tenant: what is
 * never forgotten must not grow with those who come and go.
 */
export function widthsOf(measure: Measure, cut: Cut): readonly Width[] {
  const forEver = MEASURES[measure].kind !== 'gauge' && cut !== 'full';
  return forEver ? WIDTHS : WIDTHS.filter((width) => width !== ALL_TIME);
}

/** The beginning of the bucket that a moment falls into. */
export function bucketOf(width: Width, at: number): number {
  return width === ALL_TIME ? 0 : Math.floor(at / width) * width;
}
