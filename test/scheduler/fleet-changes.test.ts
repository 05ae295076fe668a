/** The fleet is changed by another process than the one that leads it, whatever the instances do meanwhile. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { defaultViewer } from '../../src/domain/viewer.ts';
import type { WishKind } from '../../src/domain/wish.ts';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { createFleetWriter, type FleetAnswer, type FleetWriter } from '../../src/fleet/fleet-writer.ts';
import type { Member } from '../../src/fleet/member.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createIds } from '../../src/lib/ids.ts';
import type { Simulator } from '../../src/simulator/simulator.ts';
import { openAttempts } from '../../src/store/attempts.ts';
import { findInstances, listInstances } from '../../src/store/instances.ts';
import { openWishes } from '../../src/store/wishes.ts';
import { eventually } from '../support/eventually.ts';
import { ENGINES, type EngineName, openTempStore } from '../support/temp-store.ts';
import { executionsOf, type Rig, type RigOptions, sleepGraph, startRig } from './rig.ts';

const ids = createIds(systemClock);
const AT_ONCE = AbortSignal.abort();

/** A rig, and the writer of an api replica. On Postgres that has a store of its own, and no hint of it arrives. */
async function rigOn(
  engine: EngineName,
  options: RigOptions = {},
): Promise<{ rig: Rig; writer: FleetWriter }> {
  const temp = await openTempStore(engine);
  const rig = await startRig({ ...options, temp });
  const isApart = engine === 'Postgres';
  const store = isApart ? await temp.openAnother() : rig.store;
  const bus = isApart ? new MemoryBus() : rig.bus;
  await bus.start();
  onTestFinished(() => bus.stop());
  return { rig, writer: createFleetWriter({ store, bus, clock: systemClock, ids }) };
}

async function known(rig: Rig): Promise<readonly [string, string]> {
  const [a, b] = await listInstances(rig.store.db);
  return [a?.id ?? '', b?.id ?? ''];
}

const kindOf = (answer: FleetAnswer) => answer.kind;
const add = (writer: FleetWriter, url: string, capacity: number | null = null) =>
  writer.add({ url, name: null, capacity }, 1);

async function addedId(writer: FleetWriter, url: string): Promise<string> {
  const answer = await add(writer, url);
  if (answer.kind !== 'instance') throw new Error(`not added: ${answer.kind}`);
  return answer.instance.id;
}

/** The rig's instances are there, but nobody names them. */
const NONE_NAMED = { comfyuiInstances: [] } as const;

const runs = (one: Simulator | undefined): number => (one ? executionsOf(one).length : 0);

const attemptsOn = async (rig: Rig, id: string): Promise<number> =>
  (await rig.store.db.selectFrom('attempts').select('id').where('instance_id', '=', id).execute()).length;

describe.each(ENGINES)('changes of the fleet, on %s', (engine) => {
  it('let no attempt begin on an instance once its draining was answered', async () => {
    const { rig, writer } = await rigOn(engine, { simulators: [{}, {}] });
    const [, drained] = await known(rig);
    const jobs: string[] = [];
    const submit = async (): Promise<void> => void jobs.push(await rig.submit(sleepGraph(0, 1)));
    for (let round = 0; round < 4; round++) {
      for (let n = 0; n < 6; n++) await submit();
      const before = await attemptsOn(rig, drained);
      await eventually(async () => (await attemptsOn(rig, drained)) > before, { what: 'it gets jobs' });
      expect(kindOf(await writer.setDraining(drained, true))).toBe('instance');
      const begun = await attemptsOn(rig, drained);
      for (let n = 0; n < 4; n++) await submit();
      for (const id of jobs.splice(0)) expect((await rig.ended(id)).status).toBe('COMPLETED');
      expect(await attemptsOn(rig, drained)).toBe(begun);
      expect(await writer.setDraining(drained, false)).toMatchObject({ instance: { draining: false } });
    }
    await rig.judged();
  });

  it('make one instance of an address that is added ten times at once', async () => {
    const { rig, writer } = await rigOn(engine, { config: NONE_NAMED });
    const answers = await Promise.all(Array.from({ length: 10 }, () => add(writer, rig.simulator.url)));
    expect(answers.map(kindOf).sort()).toEqual(['instance', ...Array<string>(9).fill('invalid')]);
    expect(await listInstances(rig.store.db)).toHaveLength(1);
    expect(rig.fleet.members()).toHaveLength(1);
    expect((await rig.ended(await rig.submit(sleepGraph(0, 1)))).status).toBe('COMPLETED');
  });
});

describe('an instance that is removed', () => {
  it('gives its jobs back at no charge although it does not answer', async () => {
    const config = { ...NONE_NAMED, refusedLostMs: 60_000, unreachableLostMs: 60_000 };
    const { rig, writer } = await rigOn('SQLite', { simulators: [{}, {}], config });
    const [hung, other] = rig.simulators;
    const id = await addedId(writer, hung?.url ?? '');
    const job = await rig.submit(sleepGraph(30, 300));
    await eventually(() => runs(hung) === 1, { what: 'it runs' });
    hung?.control.freeze();
    onTestFinished(() => hung?.control.thaw());

    expect(await writer.remove(id)).toMatchObject({ kind: 'instance', undone: expect.any(String) });

    expect(await openAttempts(rig.store.db)).toEqual([]);
    expect(await rig.job(job)).toMatchObject({ status: 'PENDING', chargedAttempts: 0, crashes: 0 });
    expect(await rig.attempts(job)).toMatchObject([{ state: 'LOST', error: { code: 'INSTANCE_LOST' } }]);
    expect(rig.fleet.members()).toEqual([]);
    await addedId(writer, other?.url ?? '');
    await eventually(() => runs(other) === 1, { what: 'it runs elsewhere' });
    await rig.recorder.cancel(defaultViewer, job);
  });

  it('frees the place of a canceled job that it would not let go of', async () => {
    const config = { ...NONE_NAMED, unreachableLostMs: 600_000 };
    const { rig, writer } = await rigOn('SQLite', { config });
    const id = await addedId(writer, rig.simulator.url);
    const job = await rig.submit(sleepGraph(30, 300));
    await eventually(() => runs(rig.simulator) === 1, { what: 'it runs' });
    rig.simulator.control.freeze();
    onTestFinished(() => rig.simulator.control.thaw());
    const releasing = vi.spyOn(rig.fleet.member(id) as Member, 'cancel');
    await rig.recorder.cancel(defaultViewer, job);
    await eventually(() => releasing.mock.calls.length > 0, { what: 'it is told to let go' });
    expect(await openAttempts(rig.store.db)).toHaveLength(1);

    await writer.remove(id);

    expect(await openAttempts(rig.store.db)).toEqual([]);
    expect(await rig.attempts(job)).toMatchObject([{ state: 'CANCELED' }]);
  });

  it('gives a job back whose POST has no answer', async () => {
    const { rig, writer } = await rigOn('SQLite', { config: { ...NONE_NAMED, probeIntervalMs: 60_000 } });
    const id = await addedId(writer, rig.simulator.url);
    await rig.ended(await rig.submit(sleepGraph(0, 1)));
    rig.simulator.control.freeze();
    onTestFinished(() => rig.simulator.control.thaw());
    const job = await rig.submit(sleepGraph(0, 1));
    await eventually(async () => (await rig.attempts(job)).length === 1, { what: 'it has a place' });

    await writer.remove(id);

    expect(await rig.job(job)).toMatchObject({ status: 'PENDING', chargedAttempts: 0 });
    expect(await openAttempts(rig.store.db)).toEqual([]);
  });

  it('is left alone where its prompts are of others', async () => {
    const { rig, writer } = await rigOn('SQLite', { config: NONE_NAMED });
    const id = await addedId(writer, rig.simulator.url);
    const response = await fetch(`${rig.simulator.url}/prompt`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: sleepGraph(1, 10), prompt_id: ids() }),
    });
    expect(response.status).toBe(200);
    await writer.remove(id);
    await eventually(() => rig.executions()[0]?.outcome === 'success', {
      what: 'the prompt of another ends',
    });
  });
});

describe('what is asked while nobody leads', () => {
  it('is written at once, and done by whoever leads next', async () => {
    const { rig, writer } = await rigOn('SQLite', { simulators: [{}, {}, {}], config: NONE_NAMED });
    const [first, second, third] = rig.simulators;
    const removed = await addedId(writer, first?.url ?? '');
    const drained = await addedId(writer, second?.url ?? '');
    await writer.setDraining(drained, true);
    const job = await rig.submit(sleepGraph(3, 30));
    await eventually(() => runs(first) === 1, { what: 'it runs' });
    const store = rig.store;
    await rig.shutDown();
    const alone = createFleetWriter({ store, bus: new MemoryBus(), clock: systemClock, ids });

    await alone.remove(removed, AT_ONCE);
    await alone.setDraining(drained, false, AT_ONCE);
    const added = await alone.add({ url: third?.url ?? '', name: null, capacity: 2 }, 1, AT_ONCE);

    expect(await findInstances(store.db, [drained])).toMatchObject([{ draining: false }]);
    expect(added).toMatchObject({ kind: 'instance', instance: { capacity: 2 } });
    expect(await openWishes(store.db)).toHaveLength(3);
    await rig.boot();
    await eventually(async () => (await openWishes(store.db)).length === 0, { what: 'all is done' });
    expect(first?.control.executions()).toMatchObject([{ outcome: 'interrupted' }]);
    expect(rig.fleet.members()).toHaveLength(2);
    expect((await rig.ended(job)).status).toBe('COMPLETED');
    expect((await rig.attempts(job)).map(({ state, charged }) => `${state} ${charged}`)).toEqual([
      'LOST false',
      'SUCCEEDED true',
    ]);
  });

  it('is done for an instance that the configuration no longer names: what runs there is stopped', async () => {
    const temp = await openTempStore('SQLite');
    const rig = await startRig({ temp });
    await rig.submit(sleepGraph(30, 300));
    await eventually(() => runs(rig.simulator) === 1, { what: 'it runs' });
    await rig.shutDown();
    const next = await startRig({ temp, simulators: [], config: NONE_NAMED });
    await eventually(async () => (await openWishes(next.store.db)).length === 0, { what: 'all is done' });
    expect(rig.simulator.control.executions()).toMatchObject([{ outcome: 'interrupted' }]);
    expect(next.fleet.members()).toEqual([]);
  });
});

describe('a wish that nobody here can carry out', () => {
  it('holds up neither jobs nor other wishes', async () => {
    const { rig, writer } = await rigOn('SQLite', { config: NONE_NAMED });
    const unknown = { id: 'polish', instance_id: 'gpu', kind: 'polish' as WishKind, asked_at: 1 };
    await rig.store.db
      .insertInto('wishes')
      .values({ ...unknown, done_at: null, error: null })
      .execute();
    await addedId(writer, rig.simulator.url);
    expect((await rig.ended(await rig.submit(sleepGraph(0, 1)))).status).toBe('COMPLETED');
    expect(await openWishes(rig.store.db)).toMatchObject([{ id: 'polish' }]);
  });
});

describe('two processes that change the fleet', () => {
  it('never stand in each other’s way for good', async () => {
    const temp = await openTempStore('Postgres');
    const rig = await startRig({ temp, config: NONE_NAMED });
    const writers = await Promise.all(
      [0, 1].map(async () => {
        const store = await temp.openAnother();
        return createFleetWriter({ store, bus: new MemoryBus(), clock: systemClock, ids });
      }),
    );
    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const writer = writers[n % 2] as FleetWriter;
        const added = await writer.add(
          { url: `http://127.0.0.1:${n + 1}`, name: null, capacity: null },
          1,
          AT_ONCE,
        );
        if (added.kind !== 'instance') throw new Error('not added');
        await writer.setDraining(added.instance.id, true, AT_ONCE);
        if (n % 2 === 0) await writer.remove(added.instance.id, AT_ONCE);
      }),
    );
    await eventually(async () => (await openWishes(rig.store.db)).length === 0, { what: 'all is done' });
    expect(rig.fleet.members()).toHaveLength(10);
    expect(rig.fleet.instances().every(({ instance }) => instance.draining)).toBe(true);
  });
});
