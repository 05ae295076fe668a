/**
 * The database of a cluster notes itself who wrote what in which term, by triggers, so that no program is asked about itself:
 * each connects under a name of its own. What a scheduler writes after another's term has begun is a stale write.
 */
import type { ClusterRows } from './cluster-rows.ts';

/** A term as the database saw it begin; times in epoch ms. */
export interface TermBegun {
  readonly term: number;
  /** Name of the program. */
  readonly who: string;
  readonly at: number;
}

export interface StaleWrite {
  readonly who: string;
  readonly tbl: string;
  readonly op: string;
  readonly job_id: string;
  readonly term: number;
  readonly leader: string;
  readonly at: number;
}

const WATCHED: Readonly<Record<string, string>> = {
  attempts: 'job_id',
  jobs: 'id',
  job_events: 'job_id',
  outputs: 'job_id',
};

const NOW = '(extract(epoch from clock_timestamp()) * 1000)::bigint';

const INSTALL = `
  create table chaos_terms (term bigint not null, who text not null, at bigint not null);
  create table chaos_writes
    (id bigserial, at bigint, who text, tbl text, op text, job_id text, attempt_id text, term bigint);
  create function chaos_note_term() returns trigger language plpgsql as $$ begin
    insert into chaos_terms values (new.term, current_setting('application_name'), ${NOW});
    return null;
  end $$;
  create function chaos_note_write() returns trigger language plpgsql as $$ begin
    if current_setting('application_name') like 'scheduler%' then
      insert into chaos_writes (at, who, tbl, op, job_id, attempt_id, term)
        select ${NOW}, current_setting('application_name'), tg_table_name, tg_op,
          to_jsonb(coalesce(new, old)) ->> tg_argv[0],
          case when tg_table_name = 'attempts' then to_jsonb(coalesce(new, old)) ->> 'id' end,
          (select term from leases where name = 'scheduler');
    end if;
    return null;
  end $$;
  create trigger chaos_begun after insert on leases for each row execute function chaos_note_term();
  create trigger chaos_taken after update on leases for each row
    when (old.term is distinct from new.term) execute function chaos_note_term();
  ${Object.entries(WATCHED)
    .map(
      ([table, column]) =>
        `create trigger chaos_${table} after insert or update or delete on ${table}
          for each row execute function chaos_note_write('${column}');`,
    )
    .join('\n')}`;

/** Before any program leads; the tables must exist. */
export async function installAudit(rows: ClusterRows): Promise<void> {
  await rows.all(INSTALL);
}

/** Oldest first. */
export function termsBegun(rows: ClusterRows): Promise<TermBegun[]> {
  return rows.all<TermBegun>('select * from chaos_terms order by term');
}

export function newestTerm(rows: ClusterRows): Promise<TermBegun | undefined> {
  return rows
    .all<TermBegun>('select * from chaos_terms order by term desc limit 1')
    .then(([newest]) => newest);
}

export function staleWrites(rows: ClusterRows): Promise<StaleWrite[]> {
  return rows.all<StaleWrite>(`
    select w.who, w.tbl, w.op, w.job_id, w.term, t.who as leader, w.at
      from chaos_writes w join chaos_terms t on t.term = w.term where t.who <> w.who order by w.id`);
}

/** Who made an attempt, and in which term. */
export interface AttemptMade {
  readonly attempt_id: string;
  readonly who: string;
  readonly term: number;
  /** Epoch ms. */
  readonly at: number;
}

export function writersOfAttempts(rows: ClusterRows): Promise<AttemptMade[]> {
  return rows.all<AttemptMade>(
    "select attempt_id, who, term, at from chaos_writes where tbl = 'attempts' and op = 'INSERT' order by id",
  );
}
