/** Many jobs that have ended, with every row that a job leaves behind, written in bulk by SQL that both engines take. */
import { type RawBuilder, sql } from 'kysely';
import type { Db, Store } from '../src/store/open.ts';

export interface Ended {
  readonly count: number;
  /** The jobs ended evenly spread over this time, epoch ms. */
  readonly from: number;
  readonly to: number;
  readonly tenant: string;
}

const AT_ONCE = 20_000;
const GRAPH = JSON.stringify(
  Object.fromEntries(
    ['1', '2', '3', '4', '5', '6', '7'].map((node) => [
      node,
      { class_type: 'KSampler', inputs: { seed: 1, steps: 20, cfg: 8, text: 'a lighthouse at dusk' } },
    ]),
  ),
);

/** A completed job each: its graph, a label, one attempt, five events, a picture of its own and one that ten jobs share. */
export async function fillEnded(store: Store, ended: Ended): Promise<void> {
  for (let first = 0; first < ended.count; first += AT_ONCE) {
    const last = Math.min(ended.count, first + AT_ONCE) - 1;
    await store.relaxed(async (tx) => {
      for (const insert of inserts(ended, first, last)) await insert.execute(tx);
    });
  }
}

function inserts({ count, from, to, tenant }: Ended, first: number, last: number): RawBuilder<unknown>[] {
  const step = (to - from) / count;
  const numbers = sql`(with recursive numbers(n) as (select ${sql.lit(first)} union all
    select n + 1 from numbers where n < ${sql.lit(last)})
    select n, ${sql.lit(Math.floor(from))} + cast(n * ${sql.lit(step)} as bigint) as at,
      ${padded('n', 'old-')} as id, ${padded('n', 'try-')} as attempt from numbers) as rows_of`;
  const who = sql.lit(tenant);
  return [
    sql`insert into jobs (id, tenant, status, workflow, inputs, priority, labels, needs_key, timeout_ms, max_attempts,
      attempt_count, charged_attempts, not_before, instance_id, seq, created_at, updated_at, started_at, finished_at, run_ms)
      select id, ${who}, 'COMPLETED', 'textToImage', '{"prompt":"a lighthouse at dusk","seed":7}', 5, '{"user":"u1"}',
      'bench-needs', 60000, 3, 1, 1, at - 9000, 'i1', 5, at - 9000, at, at - 8000, at, 7000 from ${numbers}`,
    sql`insert into job_graphs (job_id, graph) select id, ${sql.lit(GRAPH)} from ${numbers}`,
    sql`insert into job_labels (job_id, tenant, name, value) select id, ${who}, 'user', '"u1"' from ${numbers}`,
    sql`insert into job_files (job_id, tenant, sha256) select id, ${who}, ${padded('n / 10', 'in-')} from ${numbers}`,
    sql`insert into attempts (id, job_id, tenant, number, instance_id, instance_name, slot, term, state, outcome, charged,
      deadline_at, started_at, running_at, finished_at, run_ms, workflow) select attempt, id, ${who}, 1, 'i1', 'gpu-1', 0, 1,
      'SUCCEEDED', 'SUCCEEDED', 1, at + 60000, at - 8000, at - 8000, at, 7000, 'textToImage' from ${numbers}`,
    sql`insert into outputs (id, job_id, attempt_id, tenant, node, ordinal, kind, mime_type, filename, sha256, bytes, width,
      height, temporary, created_at) select ${padded('n', 'out-')}, id, attempt, ${who}, '9', 0, 'image', 'image/png',
      'out.png', ${padded('n', 'sha-')}, 1000, 64, 64, 0, at from ${numbers}`,
    ...EVENTS.map(
      ([type, data], seq) => sql`insert into job_events (job_id, tenant, seq, type, at, data)
      select id, ${who}, ${sql.lit(seq + 1)}, ${sql.lit(type)}, at, ${sql.lit(data)} from ${numbers}`,
    ),
  ];
}

const EVENTS = [
  ['queued', '{}'],
  ['started', '{"attemptId":"00000000-0000-7000-8000-000000000000"}'],
  ['output', '{"outputId":"00000000-0000-7000-8000-000000000000"}'],
  ['finished', '{"status":"COMPLETED"}'],
] as const;

/** As long as a real id, in the order of the numbers. */
function padded(number: string, prefix: string): RawBuilder<string> {
  return sql`${sql.lit(prefix)} || substr(cast(10000000000 + ${sql.raw(number)} as text), 2) ||
    ${sql.lit('-0000-7000-8000-000000000000')}`;
}

export async function countEnded(db: Db): Promise<number> {
  const row = await db
    .selectFrom('jobs')
    .select((eb) => eb.fn.countAll().as('count'))
    .where('finished_at', 'is not', null)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}
