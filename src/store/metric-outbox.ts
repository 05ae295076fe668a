/**
 * The outbox of facts about jobs. Whoever folds them takes them out in the transaction that adds them to the rollups: so
 * each counts once, whoever dies when, without a place in a log that late commits could slip behind.
 */
import type { FaultCode } from '../domain/fault.ts';
import type { AttemptOutcome } from '../domain/job.ts';
import type { MetricFact } from '../domain/metric-fact.ts';
import { present } from '../lib/assert.ts';
import type { Db } from './open.ts';
import { lockRollups } from './rollups.ts';
import type { MetricOutboxTable } from './schema.ts';
import { statement } from './statement.ts';

/** Rows turned into a list for each column, as a statement takes them. */
type Columns = { readonly [C in keyof MetricOutboxTable]: readonly MetricOutboxTable[C][] };

const insertFacts = statement((q, columns: Columns) => {
  const names = Object.keys(columns) as (keyof Columns)[];
  const row = (n: number) => Object.fromEntries(names.map((name) => [name, columns[name][n]]));
  return q.insertInto('metric_outbox').values(columns.id.map((_, n) => row(n) as never));
});

/** Inside the transaction of the change that they tell of. `ids`: sort by age. */
export async function noteFacts(tx: Db, ids: () => string, facts: readonly MetricFact[]): Promise<void> {
  const rows = facts.map((fact) => factToRow(ids(), fact));
  const column = <C extends keyof Columns>(name: C) => [name, rows.map((row) => row[name])];
  const names = Object.keys(rows[0] ?? {}) as (keyof Columns)[];
  await insertFacts(tx, Object.fromEntries(names.map(column)) as Columns);
}

const deleteOldest = statement((q, p: { most: number }) =>
  q
    .deleteFrom('metric_outbox')
    .where('id', 'in', (eb) => eb.selectFrom('metric_outbox').select('id').orderBy('id').limit(p.most))
    .returningAll(),
);

/**
 * Takes the oldest facts out, at most `most`, in no order. Until the transaction ends nobody else gets past here, so what is
 * read of the rollups in it stays true.
 */
export async function takeFacts(tx: Db, most: number): Promise<MetricFact[]> {
  await lockRollups(tx);
  const { rows } = await deleteOldest(tx, { most });
  return rows.map(factFromRow);
}

/** How many wait, looking at `most` at most. */
export async function waitingFacts(db: Db, most: number): Promise<number> {
  const rows = await db.selectFrom('metric_outbox').select('id').limit(most).execute();
  return rows.length;
}

function factToRow(id: string, fact: MetricFact): MetricOutboxTable {
  const { kind, at, tenant, workflow } = fact;
  const empty = { instance_id: null, status: null, code: null, message: null, ms: null, counted: 0 } as const;
  const row = { id, kind, at, tenant, workflow, ...empty };
  switch (fact.kind) {
    case 'submitted':
      return row;
    case 'started':
      return { ...row, instance_id: fact.instanceId, ms: Math.round(fact.queueMs) };
    case 'attempt-ended': {
      const { instanceId: instance_id, outcome: status, code, counted, runMs } = fact;
      return { ...row, instance_id, status, code, ms: Math.round(runMs), counted: counted ? 1 : 0 };
    }
    case 'ended': {
      const { instanceId: instance_id, status, code, message, runMs } = fact;
      return { ...row, instance_id, status, code, message, ms: runMs === null ? null : Math.round(runMs) };
    }
  }
}

function factFromRow(row: MetricOutboxTable): MetricFact {
  const { kind, at, tenant, workflow, instance_id: instanceId, ms } = row;
  const common = { at, tenant, workflow };
  const code = row.code as FaultCode | null;
  switch (kind) {
    case 'submitted':
      return { kind, ...common };
    case 'started':
      return {
        kind,
        ...common,
        instanceId: present(instanceId, 'the instance of a start'),
        queueMs: ms ?? 0,
      };
    case 'attempt-ended':
      return {
        kind,
        ...common,
        instanceId: present(instanceId, 'the instance of an attempt'),
        outcome: row.status as AttemptOutcome,
        code,
        runMs: ms ?? 0,
        counted: row.counted === 1,
      };
    case 'ended':
      return {
        kind,
        ...common,
        instanceId,
        status: row.status as Extract<MetricFact, { kind: 'ended' }>['status'],
        code,
        message: row.message,
        runMs: ms,
      };
  }
}
