/** I6 for those who listen: events in order, each once, one end that is the last, and nothing but what the store holds. */
import { grouped } from '../../../src/store/grouped.ts';
import type { History, JobHistory, SeenEvent, Violation } from './evidence.ts';

/** Names of kept events in the schema, and as the store has them; the others are live only. */
const KEPT: Readonly<Record<string, string>> = {
  JobQueued: 'queued',
  JobStarted: 'started',
  OutputReady: 'output',
  JobRetried: 'retried',
  JobCanceled: 'canceled',
  JobFinished: 'finished',
};

const storedType = ({ type }: SeenEvent): string | undefined =>
  KEPT[type] ?? (Object.values(KEPT).includes(type) ? type : undefined);
const isEnd = (event: SeenEvent): boolean => ['canceled', 'finished'].includes(storedType(event) ?? '');

export function subscriberRules({ subscribers = [], jobs, deleted = [] }: History): Violation[] {
  const byId = new Map(jobs.map((one) => [one.job.id, one]));
  return subscribers.flatMap(({ name, events, stayed = true }) =>
    [...grouped(events, (event) => event.jobId)].flatMap(([jobId, own]) => {
      const one = byId.get(jobId);
      const complaints = [
        ...inOrder(own),
        ...asStored(own, one, deleted.includes(jobId)),
        ...ending(own, one, stayed),
      ];
      return complaints.map((evidence) => ({ invariant: 'I6', jobId, evidence: `${name}: ${evidence}` }));
    }),
  );
}

function* inOrder(events: readonly SeenEvent[]): Generator<string> {
  let last = 0;
  const kept = new Set<number>();
  for (const event of events) {
    if (event.seq < last) yield `${event.type} ${event.seq} after ${last}`;
    last = Math.max(last, event.seq);
    if (storedType(event) === undefined) continue;
    if (kept.has(event.seq)) yield `${event.type} ${event.seq} came twice`;
    kept.add(event.seq);
  }
}

function* asStored(
  events: readonly SeenEvent[],
  one: JobHistory | undefined,
  deleted: boolean,
): Generator<string> {
  if (!one) {
    if (!deleted) yield 'events of a job that is not in the store';
    return;
  }
  for (const event of events) {
    const type = storedType(event);
    const row = one.events.find(({ seq }) => seq === event.seq);
    if (type !== undefined && row?.type !== type) {
      yield `${event.type} ${event.seq}, which is ${row?.type ?? 'nothing'} in the store`;
    }
    if (isEnd(event) && event.status !== undefined && event.status !== one.job.status) {
      yield `it ended as ${event.status}, in the store as ${one.job.status}`;
    }
  }
}

function* ending(
  events: readonly SeenEvent[],
  one: JobHistory | undefined,
  stayed: boolean,
): Generator<string> {
  const ends = events.filter(isEnd);
  if (ends.length > 1) yield `${ends.length} terminal events`;
  if (ends[0] && ends[0] !== events.at(-1)) yield `${events.at(-1)?.type} after the terminal event`;
  if (one && one.job.finished_at !== null && stayed && ends.length === 0) yield 'no terminal event';
}
