/** What an instance is said to have done only grows, whoever comes and goes under its name. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countOf } from '../../../src/domain/metric-cell.ts';
import { readInstanceSamples } from '../../../src/metrics/prometheus/instance-samples.ts';
import { removeInstance, upsertConfigured } from '../../../src/store/instances.ts';
import { dropRemovedInstances } from '../../../src/store/metric-expiry.ts';
import type { Db } from '../../../src/store/open.ts';
import { addToRollups } from '../../../src/store/rollups.ts';
import { ENGINES, openTempStore, type TempStore } from '../../support/temp-store.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const RETENTION_MS = 30 * DAY;

/** A fleet as time goes by; names and ids are its own. */
class Fleet {
  readonly #db: Db;
  readonly #prefix: string;
  #now = 1_700_000_000_000;
  #ids = 0;
  #live: { readonly id: string; readonly name: string }[] = [];

  constructor(db: Db, prefix: string) {
    this.#db = db;
    this.#prefix = prefix;
  }

  async add(name: string): Promise<void> {
    const id = `${this.#prefix}-${++this.#ids}`;
    const instance = { id, name: `${this.#prefix}-${name}`, url: `http://${id}:8188`, capacity: 1 };
    await upsertConfigured(this.#db, instance, this.#now);
    this.#live.push({ id, name });
  }

  /** The one of this name that is there longest. */
  async remove(name: string): Promise<void> {
    const gone = this.#live.find((one) => one.name === name);
    if (!gone) return;
    this.#live = this.#live.filter((one) => one !== gone);
    await removeInstance(this.#db, gone.id, this.#now);
  }

  /** All that have this name end so many attempts each. */
  async work(name: string, count: number): Promise<void> {
    const increments = this.#live
      .filter((one) => one.name === name)
      .map(({ id }) => ({
        series: {
          ...({ measure: 'attempts', cut: 'instance' } as const),
          key: { instance: id, status: 'SUCCEEDED', code: '' },
        },
        ...({ width: 0, bucket: 0, cell: countOf(count) } as const),
      }));
    if (increments.length > 0) await this.#db.transaction().execute((tx) => addToRollups(tx, increments));
  }

  async later(ms: number): Promise<void> {
    this.#now += ms;
    await dropRemovedInstances(this.#db, this.#now - RETENTION_MS);
  }

  /** How many lines tell whether it is up. */
  async lines(name: string): Promise<number> {
    const { instance_up } = await readInstanceSamples(this.#db, this.#now);
    return instance_up.filter(({ labels }) => labels.instance_name === `${this.#prefix}-${name}`).length;
  }

  /** Attempts that Prometheus is told of; null when it is told of none. */
  async told(name: string): Promise<number | null> {
    const { attempts_total } = await readInstanceSamples(this.#db, this.#now);
    const label = `${this.#prefix}-${name}`;
    return attempts_total.find(({ labels }) => labels.instance_name === label)?.value ?? null;
  }
}

describe.each(ENGINES)('what instances did, as Prometheus is told on %s', (engine) => {
  let temp: TempStore;
  let fleets = 0;
  const fleet = (): Fleet => new Fleet(temp.store.db, `f${++fleets}`);
  beforeAll(async () => {
    temp = await openTempStore(engine);
  });
  afterAll(() => temp.close());

  it('goes on as long as it is told when the last of a name leaves long after another', async () => {
    const gpus = fleet();
    await gpus.add('gpu');
    await gpus.work('gpu', 100);
    await gpus.remove('gpu');
    await gpus.later(2 * HOUR);
    await gpus.add('gpu');
    await gpus.work('gpu', 40);
    expect(await gpus.told('gpu')).toBe(140);
    await gpus.remove('gpu');
    await gpus.later(HOUR);
    expect(await gpus.told('gpu')).toBe(140);
    await gpus.later(1);
    expect(await gpus.told('gpu')).toBeNull();
  });

  it('is not forgotten of one that left long ago while another has its name', async () => {
    const gpus = fleet();
    await gpus.add('gpu');
    await gpus.work('gpu', 100);
    await gpus.remove('gpu');
    await gpus.add('gpu');
    await gpus.later(RETENTION_MS + DAY);
    expect(await gpus.told('gpu')).toBe(100);
    await gpus.remove('gpu');
    await gpus.later(RETENTION_MS + DAY);
    await gpus.add('gpu');
    expect(await gpus.told('gpu')).toBeNull();
  });

  it('is told once where two have one name', async () => {
    const gpus = fleet();
    await gpus.add('twin');
    await gpus.add('twin');
    expect(await gpus.lines('twin')).toBe(1);
  });

  it('never falls from one scrape to the next', async () => {
    const event = fc.oneof(
      fc.constantFrom({ kind: 'add' as const }, { kind: 'remove' as const }),
      fc.record({ kind: fc.constant('work' as const), count: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ kind: fc.constant('later' as const), ms: fc.constantFrom(1, 2 * HOUR, 31 * DAY) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 20, maxLength: 30 }), async (events) => {
        const gpus = fleet();
        let before: number | null = null;
        for (const one of events) {
          if (one.kind === 'later') await gpus.later(one.ms);
          else if (one.kind === 'work') await gpus.work('gpu', one.count);
          else await gpus[one.kind]('gpu');
          const value = await gpus.told('gpu');
          // from nothing any value may begin
          if (value !== null) expect(value).toBeGreaterThanOrEqual(before ?? 0);
          before = value;
        }
      }),
      { numRuns: 20 },
    );
  });
});
