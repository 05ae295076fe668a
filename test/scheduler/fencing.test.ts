import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fault } from '../../src/domain/fault.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { createRecorder } from '../../src/jobs/recorder.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { claimOpenAttempts } from '../../src/store/attempts.ts';
import { LEADER_LEASE, releaseTerm, takeTerm } from '../../src/store/leases.ts';
import type { Db } from '../../src/store/open.ts';
import { eventually } from '../support/eventually.ts';
import { assertHistory } from '../support/history-checker.ts';
import { LeapingClock } from '../support/leaping-clock.ts';
import { flush } from '../support/virtual-clock.ts';
import { type Rig, sleepGraph, startRig } from './rig.ts';

const WRITES_OF_A_LEADER =
  /^(insert into|update|delete from) "(jobs|attempts|job_events|outputs|needs|dropped_blobs)"/;

const LEASE_TTL_MS = 10_000;
/** Longer than the process sleeps. */
const PATIENT = { timeoutMs: 600_000 };

async function running(gateway: Rig, steps: number): Promise<string> {
  const id = await gateway.submit(sleepGraph(steps * 0.05, steps), PATIENT);
  await eventually(() => gateway.executions().length === 1);
  await eventually(async () => (await gateway.attempts(id))[0]?.state === 'RUNNING');
  return id;
}

function check(gateway: Rig): Promise<void> {
  const instances = gateway.simulators.map(({ control }) => ({
    prompts: control.prompts(),
    executions: control.executions(),
  }));
  return assertHistory(gateway.store.db, { instances });
}

describe('a leader whose process slept longer than its lease (F38)', () => {
  it('writes nothing and touches no instance once another process leads, and takes over again after it', async () => {
    const clock = new LeapingClock();
    const gateway = await startRig({ clock });
    const { db } = gateway.store;
    const runs = await running(gateway, 30);
    const waits = await gateway.submit(sleepGraph(0.02), PATIENT);

    clock.leap(2 * LEASE_TTL_MS);
    // before anything of the old leader gets a turn
    expect(gateway.scheduler.leads()).toBe(false);
    const taken = takeTerm(db, LEADER_LEASE, 'another process', clock.now(), LEASE_TTL_MS);
    const term = (await taken) ?? 0;
    await claimOpenAttempts(db, term);
    await gateway.recorder.cancel(defaultViewer, runs);
    const written: string[] = [];
    const unlisten = gateway.store.onQuery((sql) => {
      if (WRITES_OF_A_LEADER.test(sql)) written.push(sql);
    });
    const member = gateway.fleet.members()[0];
    const interrupted = await member?.http.interrupt('any', { deadlineMs: 1000 });
    expect(interrupted).toMatchObject({ ok: false, reason: 'aborted' });

    await eventually(() => gateway.executions()[0]?.outcome !== 'running');
    // nobody interrupted it, though its job was canceled: that is up to the other process now
    expect(gateway.executions().map((run) => run.outcome)).toEqual(['success']);
    expect(written).toEqual([]);
    expect((await gateway.attempts(runs))[0]).toMatchObject({ state: 'RUNNING', term });
    expect((await gateway.job(waits)).status).toBe('PENDING');
    expect(gateway.scheduler.leads()).toBe(false);
    unlisten();

    await releaseTerm(db, LEADER_LEASE, term);
    expect((await gateway.ended(waits)).status).toBe('COMPLETED');
    await eventually(async () => (await gateway.attempts(runs))[0]?.state === 'CANCELED');
    expect((await gateway.attempts(waits))[0]?.term).toBeGreaterThan(term);
    expect(gateway.scheduler.leads()).toBe(true);
    await check(gateway);
  });

  it('goes on by itself in a new term when nobody took the lease, and runs nothing twice', async () => {
    const clock = new LeapingClock();
    const gateway = await startRig({ clock });
    const runs = await running(gateway, 10);
    const waits = await gateway.submit(sleepGraph(0.02), PATIENT);
    const before = (await gateway.attempts(runs))[0]?.term ?? 0;
    clock.leap(2 * LEASE_TTL_MS);
    for (const id of [runs, waits]) expect((await gateway.ended(id)).status).toBe('COMPLETED');
    const [attempt, ...more] = await gateway.attempts(runs);
    expect(more).toEqual([]);
    expect(attempt?.term).toBeGreaterThan(before);
    expect(gateway.executions()).toHaveLength(2);
    expect(gateway.scheduler.leads()).toBe(true);
    await check(gateway);
  });

  it('begins nothing on an instance while its lease is in doubt, even in the middle of a step', async () => {
    const clock = new LeapingClock();
    const gateway = await startRig({ clock });
    await eventually(() => gateway.fleet.instances()[0]?.listening);
    let slept = false;
    const unlisten = gateway.store.onQuery((sql) => {
      // the attempt is being written: the process falls asleep before it can post the prompt
      if (slept || !sql.startsWith('insert into "attempts"')) return;
      slept = true;
      clock.leap(2 * LEASE_TTL_MS);
      void takeTerm(gateway.store.db, LEADER_LEASE, 'another process', clock.now(), 2000);
    });
    const id = await gateway.submit(sleepGraph(0.02), PATIENT);
    const attempt = await eventually(async () => (await gateway.attempts(id))[0]);
    await eventually(() => !gateway.scheduler.leads());
    expect(gateway.simulator.control.prompts()).toEqual([]);
    expect(attempt.state).toBe('SUBMITTING');
    unlisten();
    // the other process ends without a word; its lease runs out
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(gateway.executions()).toHaveLength(1);
    await check(gateway);
  });
});

describe('a process that finds another one leading (F38)', () => {
  it('stands by, and leads once the other has stopped', async () => {
    const gateway = await startRig();
    const id = await running(gateway, 20);
    const another = await gateway.bootAnother();
    expect(another.scheduler.leads()).toBe(false);
    expect(gateway.scheduler.leads()).toBe(true);
    await gateway.shutDown();
    await eventually(() => another.scheduler.leads());
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(gateway.executions()).toHaveLength(1);
    await check(gateway);
  });
});

describe('two processes on one database, one of which slept past its lease (F36, F38)', () => {
  /** It works by the same rows as the other one, but cannot take its lease back for now. */
  function withoutLease(db: Db): { readonly heal: () => void } {
    const original = db.insertInto.bind(db) as (table: string) => unknown;
    const refusing = (table: string) => {
      if (table === 'leases') throw new Error('this process still sleeps');
      return original(table);
    };
    Object.assign(db, { insertInto: refusing });
    return { heal: () => Object.assign(db, { insertInto: original }) };
  }

  /** The first leads and runs a job of so many steps; then it sleeps, and the second takes over. */
  async function overtaken(steps: number) {
    const clock = new LeapingClock();
    const gateway = await startRig({ clock, engine: 'Postgres' });
    const another = await gateway.bootAnother();
    const id = await running(gateway, steps);
    const [{ term: before } = { term: 0 }] = await gateway.attempts(id);
    const sleeper = withoutLease(gateway.store.vital);
    const written: string[] = [];
    gateway.store.onQuery((sql) => {
      if (WRITES_OF_A_LEADER.test(sql)) written.push(sql);
    });
    const heard = await gateway.listen(id);
    clock.leap(2 * LEASE_TTL_MS);
    await flush();
    heard.length = 0;
    await another.store.db.updateTable('leases').set({ expires_at: 1 }).execute();
    await eventually(() => another.scheduler.leads());
    return { gateway, another, id, before, sleeper, written, heard };
  }

  it('adopts what runs, completes it once, and nothing that the sleeper writes is taken', async () => {
    const { gateway, another, id, before, sleeper, written } = await overtaken(40);
    const attempt = (await gateway.attempts(id))[0];
    expect(attempt?.term).toBeGreaterThan(before);
    // what the sleeper had begun to write before it slept, and goes on to write now
    const promptId = attempt?.id ?? '';
    const stale = createRecorder({
      store: gateway.store,
      bus: gateway.bus,
      clock: systemClock,
      ids: randomUUID,
      logger: createLogger('silent'),
    });
    expect(await stale.collecting(promptId, before)).toBe(false);
    expect(await stale.complete(promptId, before, 1)).toBeNull();
    expect(await stale.fail(promptId, before, fault('TIMEOUT'), { kind: 'final' })).toBeNull();
    expect(await stale.lose(promptId, before, fault('INSTANCE_LOST'))).toBeNull();
    sleeper.heal();
    written.length = 0;
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(await gateway.attempts(id)).toHaveLength(1);
    expect(gateway.executions()).toMatchObject([{ outcome: 'success' }]);
    expect(written).toEqual([]);
    expect([gateway.scheduler.leads(), another.scheduler.leads()]).toEqual([false, true]);
    await check(gateway);
  });

  it('is heard by one of them only, and the sleeper lets its sockets go', async () => {
    const { gateway, another, id } = await overtaken(40);
    await eventually(() => gateway.fleet.members().length === 0);
    await eventually(() => another.fleet.instances()[0]?.listening);
    await eventually(() => gateway.simulator.control.socketCount() === 1);
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    await check(gateway);
  });

  it('tells nobody what it still hears of a run that another one follows', async () => {
    const { gateway, id, heard } = await overtaken(40);
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    // the bus of this rig is the sleeper's own: whatever is on it, the sleeper said
    expect(heard).toEqual([]);
  });

  it('lets a fleet start again with a new term of the same process', async () => {
    const { gateway, another, id, sleeper } = await overtaken(10);
    sleeper.heal();
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    await another.scheduler.stop();
    await eventually(() => gateway.scheduler.leads());
    const next = await gateway.submit(sleepGraph(0.02), PATIENT);
    expect((await gateway.ended(next)).status).toBe('COMPLETED');
    expect(gateway.simulator.control.socketCount()).toBe(1);
    await check(gateway);
  });
});

describe('a process on standby', () => {
  it('opens no socket, asks no instance anything and writes no row', async () => {
    const gateway = await startRig({ engine: 'Postgres' });
    await eventually(() => gateway.fleet.instances()[0]?.listening);
    const another = await gateway.bootAnother();
    const asked: string[] = [];
    another.store.onQuery((sql) => {
      if (/^(insert|update|delete)/.test(sql) && !sql.includes('"leases"')) asked.push(sql);
    });
    const id = await gateway.submit(sleepGraph(0.5), PATIENT);
    expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(another.fleet.members()).toEqual([]);
    expect(gateway.simulator.control.socketCount()).toBe(1);
    expect(asked).toEqual([]);
    expect(another.scheduler.healthy()).toBe(true);
  });
});
