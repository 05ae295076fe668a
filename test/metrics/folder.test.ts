import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { compact } from '../../src/domain/metric-cell.ts';
import type { MetricFact } from '../../src/domain/metric-fact.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { fold } from '../../src/metrics/fold.ts';
import { createFolder, type FolderOptions } from '../../src/metrics/folder.ts';
import { noteFacts, waitingFacts } from '../../src/store/metric-outbox.ts';
import { persistedAt } from '../../src/store/metric-progress.ts';
import type { Db, Store } from '../../src/store/open.ts';
import { eventually } from '../support/eventually.ts';
import { ENGINES, openTempStore } from '../support/temp-store.ts';
import { flush, VirtualClock } from '../support/virtual-clock.ts';
import { facts as anyFacts } from './facts.ts';

const NOW = 1_700_000_000_000;
const RETENTION_MS = 30 * 86_400_000;
const submitted: MetricFact = { kind: 'submitted', at: NOW, tenant: 't', workflow: 'w' };

/** Everything that is kept, bins in order. */
async function kept(db: Db): Promise<unknown> {
  const series = await db.selectFrom('metric_series').selectAll().execute();
  const cells = await db.selectFrom('metric_rollups').selectAll().execute();
  const names = new Map(series.map(({ id, ...name }) => [id, JSON.stringify(name)]));
  const usage = await db.selectFrom('metric_usage').selectAll().execute();
  const failures = await db
    .selectFrom('metric_failures')
    .select(['code', 'instance', 'workflow', 'last_at'])
    .execute();
  const text = (rows: readonly unknown[]): string[] => rows.map((row) => JSON.stringify(row)).sort();
  return {
    cells: text(cells.map(({ series_id, ...cell }) => ({ series: names.get(series_id), ...cell }))),
    usage: text(usage),
    failures: text(failures),
  };
}

describe.each(ENGINES)('the folder on %s', (engine) => {
  async function open(options: Partial<FolderOptions> = {}) {
    const temp = await openTempStore(engine);
    onTestFinished(() => temp.close());
    const clock = new VirtualClock(NOW);
    const rest = { clock, logger: createLogger('silent'), retentionMs: RETENTION_MS, mayRun: () => true };
    const folderOn = (store: FolderOptions['store'], more: Partial<FolderOptions> = {}) =>
      createFolder({ store, ...rest, ...options, ...more });
    let id = 0;
    const ids = (): string => String(id++).padStart(9, '0');
    const note = (...facts: MetricFact[]) =>
      temp.store.transaction((tx) => (facts.length > 0 ? noteFacts(tx, ids, facts) : Promise.resolve()));
    return { temp, store: temp.store, clock, folderOn, note };
  }

  it('adds up what the facts say, in pieces, and leaves none', async () => {
    await fc.assert(
      fc.asyncProperty(anyFacts(NOW, 450), async (facts) => {
        const { store, folderOn, note } = await open();
        await note(...facts);
        await folderOn(store).round();
        expect(await waitingFacts(store.db, 1)).toBe(0);
        const { increments, usage } = fold(facts, { now: NOW, retentionMs: RETENTION_MS });
        const cells = await store.db
          .selectFrom('metric_rollups')
          .innerJoin('metric_series', 'id', 'series_id')
          .selectAll()
          .execute();
        const text = (place: readonly unknown[], bins: readonly number[]): string =>
          JSON.stringify([...place, compact(bins)]);
        expect(
          cells
            .map((row) => {
              const { instance, workflow, tenant, status, code } = row;
              const bins = row.bins === '' ? [] : row.bins.split(',').map(Number);
              const place = [row.measure, row.cut, instance, workflow, tenant, status, code];
              return text([...place, row.width_ms, row.bucket, row.count, row.sum], bins);
            })
            .sort(),
        ).toEqual(
          increments
            .map(({ series: { measure, cut, key }, width, bucket, cell }) => {
              const { instance = '', workflow = '', tenant = '', status = '', code = '' } = key;
              const place = [measure, cut, instance, workflow, tenant, status, code];
              return text([...place, width, bucket, cell.count, cell.sum], cell.bins);
            })
            .sort(),
        );
        expect(await store.db.selectFrom('metric_usage').selectAll().execute()).toHaveLength(usage.length);
      }),
      { numRuns: 4 },
    );
  });

  it('counts each fact once, though it dies after each of its statements in turn', async () => {
    const facts = fc.sample(anyFacts(NOW), { numRuns: 20, seed: 7 }).flat().slice(0, 90);
    const whole = await open();
    await whole.note(...facts);
    await whole.folderOn(whole.store).round();
    const expected = await kept(whole.store.db);

    const { store, folderOn, note } = await open();
    await note(...facts);
    let deaths = 0;
    for (let last = 1; ; last++) {
      let statements = 0;
      const dying = folderOn({
        db: store.db,
        relaxed: (work) => store.relaxed((tx) => work(dyingAfter(tx, () => ++statements > last))),
      });
      const died = await dying.round().then(
        () => false,
        () => true,
      );
      if (!died) break;
      deaths += 1;
      expect(await waitingFacts(store.db, 1000)).toBe(facts.length);
    }
    expect(deaths).toBeGreaterThan(6);
    expect(await kept(store.db)).toEqual(expected);
  });

  it('takes fewer facts at once where each makes many cells, and more again where they make few', async () => {
    const { store, folderOn, note } = await open();
    const scattered = (n: number): MetricFact => ({ ...submitted, workflow: `w${n}`, tenant: `t${n}` });
    await note(...Array.from({ length: 300 }, (_, n) => scattered(n)));
    const left: number[] = [];
    const folder = folderOn({
      db: store.db,
      relaxed: async (work) => {
        const done = await store.relaxed(work);
        left.push(await waitingFacts(store.db, 1000));
        return done;
      },
    });
    await folder.round();
    const taken = [300, ...left].map((waiting, n) => waiting - (left[n] ?? 0)).slice(0, -1);
    expect(taken[1]).toBeLessThan((taken[0] as number) / 1.2);
    await note(...Array.from({ length: 300 }, () => submitted));
    left.length = 0;
    await folder.round();
    expect(left.length).toBeLessThan(5);
    expect(await waitingFacts(store.db, 1000)).toBe(0);
  });

  it('counts each fact once when it dies just before or after a commit', async () => {
    const { store, folderOn, note } = await open();
    await note(...Array.from({ length: 500 }, () => submitted));
    for (const [point, left] of [
      ['fold:before-commit', 500],
      ['fold:after-commit', 400],
    ] as const) {
      const crashAt: FolderOptions['crashAt'] = (here) => {
        if (here === point) throw new Error('died');
      };
      await expect(folderOn(store, { crashAt }).round()).rejects.toThrow('died');
      expect(await waitingFacts(store.db, 1000)).toBe(left);
    }
    await folderOn(store).round();
    expect(await countOf(store)).toBe(500);
  });

  it('counts each fact once when several fold at the same time while more comes', async () => {
    const { temp, store, folderOn, note } = await open();
    const stores = engine === 'Postgres' ? [store, await temp.openAnother()] : [store, store];
    await note(...Array.from({ length: 500 }, () => submitted));
    await Promise.all([
      ...stores.map((one) => folderOn(one).round()),
      ...Array.from({ length: 20 }, () => note(submitted)),
    ]);
    await folderOn(store).round();
    expect(await countOf(store)).toBe(520);
  });

  it('folds within a second while it may, and outlives a store that is away', async () => {
    let leads = false;
    let away = false;
    const { store, clock, note, folderOn } = await open({ mayRun: () => leads });
    const folder = folderOn({
      db: store.db,
      relaxed: (work) => (away ? Promise.reject(new Error('away')) : store.relaxed(work)),
    });
    await folder.start();
    onTestFinished(() => folder.stop());
    await note(submitted);
    const later = async (ms: number): Promise<void> => {
      await clock.advance(ms);
      // a database is asked in real time
      for (let turn = 0; turn < 20; turn++) {
        await waitingFacts(store.db, 1);
        await flush();
      }
    };
    await later(5000);
    expect(await waitingFacts(store.db, 9)).toBe(1);
    leads = true;
    away = true;
    await later(1000);
    expect(await waitingFacts(store.db, 9)).toBe(1);
    away = false;
    await later(1000);
    await eventually(async () => (await waitingFacts(store.db, 9)) === 0, { what: 'it is folded' });
    expect(await countOf(store)).toBe(1);
  });

  it('says up to when the figures are complete: always soon when it folds, every ten seconds when there is nothing', async () => {
    const { store, clock, note, folderOn } = await open();
    const folder = folderOn(store);
    expect(await persistedAt(store.db)).toBeNull();
    await folder.round();
    expect(await persistedAt(store.db)).toBe(NOW);
    await clock.advance(9000);
    await folder.round();
    expect(await persistedAt(store.db)).toBe(NOW);
    await note(submitted);
    await folder.round();
    expect(await persistedAt(store.db)).toBe(NOW + 9000);
    await clock.advance(10_000);
    await folder.round();
    expect(await persistedAt(store.db)).toBe(NOW + 19_000);
  });

  it('does not say that it is further than what still waits', async () => {
    const { store, clock, note, folderOn } = await open();
    const old = { ...submitted, at: NOW - 3_600_000 };
    await note(...Array.from({ length: 250 }, () => old));
    const crashAt: FolderOptions['crashAt'] = (here) => {
      if (here === 'fold:after-commit') throw new Error('died');
    };
    await expect(folderOn(store, { crashAt }).round()).rejects.toThrow('died');
    expect(await persistedAt(store.db)).toBe(NOW - 3_600_000);
    expect(clock.now()).toBe(NOW);
  });

  it('asks one small question when there is nothing to do', async () => {
    const { store, folderOn } = await open();
    const folder = folderOn(store);
    await folder.round();
    const asked: string[] = [];
    store.onQuery((sql) => asked.push(sql));
    await folder.round();
    expect(asked).toHaveLength(1);
  });
});

async function countOf(store: Store): Promise<number> {
  const { count } = await store.db
    .selectFrom('metric_rollups')
    .innerJoin('metric_series', 'id', 'series_id')
    .select((eb) => eb.fn.sum<number>('count').as('count'))
    .where('measure', '=', 'submitted')
    .where('cut', '=', 'fleet')
    .where('width_ms', '=', 0)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** The transaction, whose statements fail once it is to die. */
function dyingAfter(tx: Db, dies: () => boolean): Db {
  return tx.withPlugin({
    transformQuery: ({ node }) => {
      if (dies()) throw new Error('died');
      return node;
    },
    transformResult: async ({ result }) => result,
  }) as Db;
}
