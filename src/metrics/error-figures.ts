/** Why jobs failed: how often each fault ended one, where, and the newest of each. Pure. */
import { FAULTS } from '../domain/fault.ts';
import { grouped } from '../store/grouped.ts';
import type { RollupPoint } from '../store/rollup-points.ts';
import type { MetricFailuresTable } from '../store/schema.ts';

export interface ErrorFigures {
  readonly code: string;
  /** Name of the instance where the jobs ran last; null where none had them. */
  readonly instance: string | null;
  readonly workflow: string;
  readonly count: number;
  /** Share of all jobs that ended COMPLETED or FAILED, 0 to 1. */
  readonly rate: number;
  /** Epoch ms. */
  readonly lastAt: number;
  readonly lastMessage: string;
}

export interface ErrorSources {
  /** Failed jobs by code, instance (its id, '' for none) and workflow. */
  readonly failed: readonly Pick<RollupPoint, 'key' | 'cell'>[];
  /** The newest of each of these. */
  readonly newest: readonly MetricFailuresTable[];
  readonly nameOf: (instanceId: string) => string;
  /** Jobs that ended COMPLETED or FAILED. */
  readonly ended: number;
  /** Stands for the moment of a failure whose message has expired. */
  readonly to: number;
}

type Place = Pick<MetricFailuresTable, 'code' | 'instance' | 'workflow'>;

/** Most frequent first. Instances of one name count together. */
export function errorFigures({ failed, newest, nameOf, ended, to }: ErrorSources): ErrorFigures[] {
  const placeOf = ({ code, instance, workflow }: Place): string =>
    JSON.stringify([code, instance === '' ? null : nameOf(instance), workflow]);
  const newestOf = grouped(newest, placeOf);
  const counted = grouped(failed, ({ key }) => placeOf(toPlace(key)));
  const figures = [...counted].map(([place, points]): ErrorFigures => {
    const [code, instance, workflow] = JSON.parse(place) as [string, string | null, string];
    const count = points.reduce((sum, { cell }) => sum + cell.count, 0);
    const last = newestOf.get(place)?.reduce((a, b) => (b.last_at > a.last_at ? b : a));
    return {
      ...{ code, instance, workflow, count, rate: count / Math.max(ended, count) },
      lastAt: last?.last_at ?? to,
      lastMessage: last?.last_message ?? messageOf(code),
    };
  });
  return figures.sort((a, b) => b.count - a.count || b.lastAt - a.lastAt);
}

function toPlace({ code = '', instance = '', workflow = '' }: RollupPoint['key']): Place {
  return { code, instance, workflow };
}

function messageOf(code: string): string {
  return Object.hasOwn(FAULTS, code) ? FAULTS[code as keyof typeof FAULTS].message : code;
}
