/** One metric of a request, and what is read for it. */

import { BUSY_MEASURES } from '../busy.ts';
import type { PiecesQuery } from '../window.ts';
import {
  type Figure,
  figureOf,
  METRIC_DIMENSIONS,
  type MetricDimension,
  type MetricName,
  type MetricStat,
  shareOf,
  statsOf,
} from './figures.ts';
import { groupsOf, type SeriesRequest } from './request.ts';

export interface Part {
  readonly metric: MetricName;
  readonly figure: Figure;
  readonly stat: MetricStat;
  readonly groups: readonly MetricDimension[];
  readonly queries: readonly [PartQuery, ...PartQuery[]];
}

export type PartQuery = Omit<PiecesQuery, 'pieces' | 'pointMs'>;

export function partOf(metric: MetricName, request: SeriesRequest): Part {
  const figure = figureOf(metric);
  const stat = request.stat ?? statsOf(metric)[0];
  const groups = groupsOf(metric, request);
  const { instances: instance, workflows: workflow, statuses } = request.filter;
  const places = { ...(instance && { instance }), ...(workflow && { workflow }) };
  const part = { metric, figure, stat, groups };
  if (figure.kind === 'busy') {
    const [first, second] = BUSY_MEASURES;
    const query = { by: ['instance'] as const, where: places };
    return {
      ...part,
      queries: [
        { ...query, measure: first },
        { ...query, measure: second },
      ],
    };
  }
  const status = statusesOf(figure, statuses, groups.includes('STATUS'));
  return {
    ...part,
    queries: [
      {
        measure: figure.measure,
        by: groups.map((group) => METRIC_DIMENSIONS[group].dimension),
        where: { ...places, ...(status && { status }) },
        bins: shareOf(stat) !== null,
        last: stat === 'LAST',
      },
    ],
  };
}

function statusesOf(
  { only, usually }: Exclude<Figure, { readonly kind: 'busy' }>,
  wanted: readonly string[] | undefined,
  told: boolean,
): readonly string[] | undefined {
  if (only) return wanted ? only.filter((status) => wanted.includes(status)) : only;
  return wanted ?? (told ? undefined : usually);
}
