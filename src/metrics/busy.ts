/**
 * How busy instances were: the time they spent on attempts that ended, which rollups have, and what the open ones have taken
 * so far, which only their rows tell. ComfyUI runs one prompt at a time, so a second of it is at most a second.
 */
import type { Db } from '../store/open.ts';
import { openRuns } from '../store/open-runs.ts';
import { instancesIn, type Piece } from '../store/rollup-points.ts';
import { coverage, readPieces, type TimeRange } from './window.ts';

/** What rollups say of it: time spent, and who was heard of. */
export const BUSY_MEASURES = ['gpu_time', 'response_time'] as const;

export interface BusyQuery {
  readonly pieces: readonly Piece[];
  /** As in PiecesQuery. */
  readonly pointMs: number | null;
  readonly now: number;
  /** Only these; all when absent. */
  readonly instances?: readonly string[] | undefined;
}

/** Time on an instance within a point. */
export interface BusyTime {
  readonly at: number;
  /** Its id. */
  readonly instance: string;
  /** 0 for one that answered and had nothing to do. */
  readonly ms: number;
}

/** Of every instance that was heard of in the point, in no order. */
export async function readBusy(db: Db, { now, instances, ...query }: BusyQuery): Promise<BusyTime[]> {
  const where = instances ? { instance: instances } : {};
  const by = ['instance'] as const;
  const [spent, heard] = BUSY_MEASURES;
  // one after the other: who is let through to the store takes one connection
  const ended = await readPieces(db, { ...query, measure: spent, by, where });
  const answered =
    query.pointMs === null && !instances
      ? (await instancesIn(db, heard, query.pieces)).map((instance) => ({ at: 0, key: { instance } }))
      : await readPieces(db, { ...query, measure: heard, by, where });
  const runs = await openRuns(db);
  const times = new Map<string, BusyTime>();
  const add = (time: BusyTime): void => {
    const place = JSON.stringify([time.at, time.instance]);
    times.set(place, { ...time, ms: (times.get(place)?.ms ?? 0) + time.ms });
  };
  for (const { at, key } of answered) add({ at, instance: key.instance ?? '', ms: 0 });
  for (const { at, key, cell } of ended) add({ at, instance: key.instance ?? '', ms: cell.sum });
  for (const { instanceId, since } of runs)
    if (!instances || instances.includes(instanceId))
      for (const { at, ms } of overlaps(since, now, query)) add({ at, instance: instanceId, ms });
  return [...times.values()];
}

/** A run's time in each point that it touches. */
function* overlaps(
  since: number,
  now: number,
  { pieces, pointMs }: Pick<BusyQuery, 'pieces' | 'pointMs'>,
): Generator<{ readonly at: number; readonly ms: number }> {
  for (const piece of pieces) {
    const end = Math.min(piece.to, now);
    for (let from = Math.max(piece.from, since); from < end; ) {
      const at = pointMs === null ? 0 : from - (from % pointMs);
      const to = pointMs === null ? end : Math.min(end, at + pointMs);
      yield { at, ms: to - from };
      from = to;
    }
  }
}

/** Share of a time that has passed, 0 to 1. */
export function busyShare(ms: number, from: number, to: number, now: number): number {
  const passed = Math.min(to, now) - from;
  return passed <= 0 ? 0 : Math.min(1, ms / passed);
}

/** Share of the time in which each instance ran something, 0 to 1, by its id; who was not heard of is absent. */
export async function readUtilization(db: Db, range: TimeRange): Promise<Map<string, number>> {
  const pieces = coverage(range);
  const [first, last] = [pieces[0], pieces.at(-1)];
  if (!first || !last) return new Map();
  const times = await readBusy(db, { pieces, pointMs: null, now: range.now });
  return new Map(times.map(({ instance, ms }) => [instance, busyShare(ms, first.from, last.to, range.now)]));
}
