/**
 * A year of figures for measurements: instances that worked in every hour of it, each at one workflow for one tenant, and
 * failed now and then. As the fold leaves it: days of everything for the year, hours of most, minutes for two days, ten
 * seconds for the last hour.
 */
import { sql } from 'kysely';
import { type Cell, cellOf, mergeCells } from '../src/domain/metric-cell.ts';
import {
  ALL_TIME,
  bucketOf,
  cutsOf,
  dimensionsOf,
  type Measure,
  type MetricKey,
  type Width,
  widthsOf,
} from '../src/domain/metric-measure.ts';
import type { Store } from '../src/store/open.ts';
import { addToRollups, type Increment, seriesText } from '../src/store/rollups.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WORKFLOWS = 5;
const TENANTS = 3;
/** One in so many instances fails a job in an hour. */
const FAILS_ONE_IN = 10;

/** Of which all hours are there, and all minutes: enough for tables as large as they get, and for all that is asked. */
const LONG_KEPT = sql`measure in ('run_time', 'ended') and cut <> 'full'`;
const SHORT_KEPT = sql`measure = 'gpu_time' or cut = 'fleet'`;

type Cells = Map<string, Increment>;

/** Until now. Answers how many cells there are. */
export async function fillYear(store: Store, instances: readonly string[], days: number): Promise<number> {
  const today = bucketOf(DAY as Width, Date.now());
  const [hours, minutes]: [Cells, Cells] = [new Map(), new Map()];
  for (let hour = today; hour < today + DAY; hour += HOUR)
    for (const [n, instance] of instances.entries()) addJobs(hours, instance, n, hour, [HOUR, DAY]);
  for (const [n, instance] of instances.entries()) addJobs(minutes, instance, n, today, [10_000, MINUTE]);
  // apart, since both have cells of all time
  for (const cells of [hours, minutes]) await store.relaxed((tx) => addToRollups(tx, [...cells.values()]));
  // other days, minutes and tens of seconds are like the first
  for (let day = 1; day < days; day++)
    await repeat(store, [HOUR, DAY], { from: today, to: today + DAY }, -day * DAY);
  const now = Date.now();
  const first = { from: today, to: today + MINUTE };
  for (let at = bucketOf(HOUR as Width, now - 2 * DAY); at < now; at += MINUTE)
    if (at !== today) await repeat(store, [MINUTE], first, at - today);
  for (let at = bucketOf(HOUR as Width, now - HOUR); at < now; at += 10_000)
    if (at !== today) await repeat(store, [10_000], first, at - today);
  await sql`delete from metric_rollups where bucket > ${now}`.execute(store.db);
  await sql`analyze`.execute(store.db);
  const { cells } = await store.db
    .selectFrom('metric_rollups')
    .select((eb) => eb.fn.countAll<number | string>().as('cells'))
    .executeTakeFirstOrThrow();
  return Number(cells);
}

/** Copies the cells of a time to another one, `by` ms from it. */
async function repeat(
  { db }: Store,
  widths: readonly number[],
  { from, to }: { readonly from: number; readonly to: number },
  by: number,
): Promise<void> {
  const finest = Math.min(...widths);
  const fine = finest >= HOUR && by > -7 * DAY ? sql`1 = 1` : finest >= HOUR ? LONG_KEPT : SHORT_KEPT;
  await sql`insert into metric_rollups
    select series_id, width_ms, bucket + ${sql.lit(by)}, count, sum, min, max, last, last_at, bins
    from metric_rollups where bucket >= ${from} and bucket < ${to}
      and (width_ms = ${sql.lit(DAY)} or width_ms = ${sql.lit(finest)}
        and series_id in (select id from metric_series where ${fine}))
      and width_ms in (${sql.join(widths.map((width) => sql.lit(width)))})`.execute(db);
}

/** Five jobs of all sizes, and samples of its instance. */
function addJobs(cells: Cells, instance: string, n: number, at: number, widths: readonly number[]): void {
  const runs = Array.from({ length: 5 }, (_, k) => cellOf(800 * 1.9 ** ((at / HOUR + n * 7 + k * 5) % 9)));
  const run = runs.reduce(mergeCells);
  const plain = { ...run, min: null, max: null, bins: [] };
  const where = { instance, workflow: `workflow ${n % WORKFLOWS}`, tenant: `tenant ${n % TENANTS}` };
  const add = (measure: Measure, key: MetricKey, cell: Cell): void =>
    addOne(cells, widths, measure, key, at, cell);
  add('submitted', where, plain);
  add('queue_time', where, run);
  add('run_time', { ...where, status: 'COMPLETED' }, run);
  add('ended', { ...where, status: 'COMPLETED', code: '' }, plain);
  add('attempts', { ...where, status: 'SUCCEEDED', code: '' }, plain);
  add('gpu_time', where, plain);
  if ((n + at / HOUR) % FAILS_ONE_IN === 0) {
    add('ended', { ...where, status: 'FAILED', code: 'OUT_OF_MEMORY' }, { ...plain, count: 1 });
    add('attempts', { ...where, status: 'FAILED', code: 'OUT_OF_MEMORY' }, { ...plain, count: 1 });
  }
  const probe = cellOf(4 + (n % 5), at);
  add('response_time', { instance }, probe);
  add('vram_used', { instance }, cellOf(2 ** 33 + n * 2 ** 20, at));
}

function addOne(
  cells: Cells,
  widths: readonly number[],
  measure: Measure,
  all: MetricKey,
  at: number,
  cell: Cell,
): void {
  for (const cut of cutsOf(measure)) {
    const key = Object.fromEntries(dimensionsOf(measure, cut).map((each) => [each, all[each] ?? '']));
    const series = { measure, cut, key };
    for (const width of widthsOf(measure, cut)) {
      if (width !== ALL_TIME && !widths.includes(width)) continue;
      const bucket = bucketOf(width, at);
      const place = `${seriesText(series)} ${width} ${bucket}`;
      const known = cells.get(place);
      cells.set(place, { series, width, bucket, cell: known ? mergeCells(known.cell, cell) : cell });
    }
  }
}
