import { describe, expect, it } from 'vitest';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { claimOpenAttempts } from '../../src/store/attempts.ts';
import { LEADER_LEASE, releaseTerm, takeTerm } from '../../src/store/leases.ts';
import { eventually } from '../support/eventually.ts';
import { assertHistory } from '../support/history-checker.ts';
import { LeapingClock } from '../support/leaping-clock.ts';
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
