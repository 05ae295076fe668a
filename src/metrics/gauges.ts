/**
 * Samples what changes by itself, every five seconds in the leader: how many jobs wait and run, how the instances are.
 * Buckets of ten seconds are written with each sample, wider ones once they end (or every few minutes, so that a graph of
 * weeks has a newest point): a fleet of a thousand instances costs little. What is not written when the process dies is
 * some samples less in a mean of many.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Cell, cellOf, mergeCells } from '../domain/metric-cell.ts';
import {
  ALL_TIME,
  bucketOf,
  cutsOf,
  type Measure,
  type MetricKey,
  WIDTHS,
  type Width,
} from '../domain/metric-measure.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Loop } from '../lib/loop.ts';
import type { Service } from '../lib/service.ts';
import { type GaugeRow, gaugeRows } from '../store/gauge-rows.ts';
import { queueCounts } from '../store/jobs.ts';
import type { Store } from '../store/open.ts';
import { addToRollups, type Increment, seriesText } from '../store/rollups.ts';

const INTERVAL_MS = 5000;
const LONGEST_HELD_MS = 300_000;
/** Cells a transaction, which others have to wait for where there is one connection. */
const CELLS_AT_ONCE = 300;
const GAUGE_WIDTHS = WIDTHS.filter((width) => width !== ALL_TIME);

export interface GaugesOptions {
  readonly store: Pick<Store, 'db' | 'relaxed'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** This process is the one to do it. */
  readonly mayRun: () => boolean;
}

interface Sample {
  readonly measure: Measure;
  readonly key: MetricKey;
  readonly value: number;
}

interface Held {
  readonly increment: Increment;
  readonly since: number;
}

export function createGauges({ store, clock, logger, mayRun }: GaugesOptions): Service {
  const held = new Map<string, Held>();

  const hold = ({ measure, key, value }: Sample, at: number): void => {
    const cell = cellOf(value, at);
    for (const cut of cutsOf(measure)) {
      const series = { measure, cut, key: cut === 'fleet' ? {} : key };
      const name = seriesText(series);
      for (const width of GAUGE_WIDTHS) {
        const bucket = bucketOf(width, at);
        const place = `${name} ${width} ${bucket}`;
        const known = held.get(place);
        const sum: Cell = known ? mergeCells(known.increment.cell, cell) : cell;
        held.set(place, { since: known?.since ?? at, increment: { series, width, bucket, cell: sum } });
      }
    }
  };

  /** Writes what is due; what a store that is away does not take is lost. */
  const write = async (isDue: (one: Held) => boolean): Promise<void> => {
    const due: Increment[] = [];
    for (const [place, one] of held) {
      if (!isDue(one)) continue;
      due.push(one.increment);
      held.delete(place);
    }
    for (let from = 0; from < due.length; from += CELLS_AT_ONCE) {
      await store.relaxed((tx) => addToRollups(tx, due.slice(from, from + CELLS_AT_ONCE)));
      await nextTurn();
    }
  };

  const step = async (): Promise<void> => {
    if (!mayRun()) return write(() => true);
    const { pending, processing } = await queueCounts(store.db);
    const instances = await gaugeRows(store.db);
    const at = clock.now();
    for (const sample of samplesOf({ pending, processing }, instances)) hold(sample, at);
    await write((one) => isWritten(one, at));
  };
  const loop = new Loop({ name: 'gauges', intervalMs: INTERVAL_MS, step, clock, logger });
  return {
    start: () => loop.start(),
    async stop() {
      await loop.stop();
      await write(() => true).catch((error: unknown) => logger.warn({ err: error }, 'last samples are lost'));
    },
  };
}

function isWritten({ increment: { width, bucket }, since }: Held, at: number): boolean {
  const [finest] = GAUGE_WIDTHS as [Width];
  const age = at - since;
  // a clock that went back must not hold a bucket of what it took for the future
  return width === finest || at >= bucket + width || age >= LONGEST_HELD_MS || age < 0;
}

/** An instance that does not answer has no response time and no memory that is known; zeros would be lies. */
function samplesOf(
  { pending, processing }: { readonly pending: number; readonly processing: number },
  instances: readonly GaugeRow[],
): Sample[] {
  const healthy = instances.filter(({ health }) => health === 'HEALTHY').length;
  const samples: Sample[] = [
    { measure: 'queue_depth', key: {}, value: pending },
    { measure: 'running', key: {}, value: processing },
    { measure: 'instances_healthy', key: {}, value: healthy },
  ];
  for (const row of instances) {
    if (row.health === 'UNHEALTHY' || row.health === 'UNKNOWN') continue;
    const key = { instance: row.id };
    const { response_ms, vram_total_bytes: total, vram_free_bytes: free } = row;
    if (response_ms !== null) samples.push({ measure: 'response_time', key, value: response_ms });
    if (total !== null && free !== null) samples.push({ measure: 'vram_used', key, value: total - free });
  }
  return samples;
}
