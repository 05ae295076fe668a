import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { instancesTopic } from '../../src/events/topics.ts';
import { canaryGraph } from '../../src/fleet/canary-graph.ts';
import type { Fleet } from '../../src/fleet/fleet.ts';
import { canaryTag } from '../../src/fleet/ownership.ts';
import { present } from '../../src/lib/assert.ts';
import { listInstances } from '../../src/store/instances.ts';
import { eventually } from '../support/eventually.ts';
import { type FleetDifferences, healthOf, SOURCE, simulator, startFleet, tempStore } from './fleet-rig.ts';

const stateOf = (fleet: Fleet): string | undefined => fleet.instances()[0]?.breaker;
const errorOf = (fleet: Fleet): string | null | undefined => fleet.instances()[0]?.instance.lastError;

async function oneInstance(differences: FleetDifferences = {}) {
  const temp = await tempStore();
  const one = await simulator();
  const fleet = await startFleet(temp, [one.url], differences);
  await eventually(() => healthOf(fleet) === 'HEALTHY' && fleet.instances()[0]?.inventory);
  return { temp, one, fleet, member: present(fleet.members()[0], 'the member') };
}

describe('an instance put aside', () => {
  it('gets a canary at once, and jobs again when it has passed', async () => {
    const bus = new MemoryBus();
    const { temp, one, fleet, member } = await oneInstance({ bus });
    const news = await bus.subscribe([instancesTopic]);
    expect(one.control.executions()).toEqual([]);
    member.experienced({ kind: 'fault', reason: 'the instance stalled' }, SOURCE);
    expect(stateOf(fleet)).toBe('HALF_OPEN');
    expect(errorOf(fleet)).toBe('gets no jobs until a canary passes: the instance stalled');
    await eventually(() => stateOf(fleet) === 'CLOSED');
    expect(one.control.executions()).toMatchObject([{ outcome: 'success' }]);
    expect(errorOf(fleet)).toBeNull();
    // with care, until three jobs have shown that it works
    const slow = [1, 2, 3].map(() => {
      const { slowStart } = member.state();
      member.experienced({ kind: 'success' }, SOURCE);
      return slowStart;
    });
    expect([...slow, member.state().slowStart]).toEqual([true, true, true, false]);
    await eventually(async () => (await listInstances(temp.store.db))[0]?.breaker === 'CLOSED');
    expect((await news.next()).value).toMatchObject({ kind: 'instance', instanceId: member.id });
    news.close();
  });

  it('stays aside with a dead worker, and is used again after its restart (F13)', async () => {
    const { temp, one, fleet, member } = await oneInstance({ config: { canaryTimeoutMs: 300 } });
    one.control.setFaults({ workerDead: true });
    member.experienced({ kind: 'fault', reason: 'a job did not start' }, SOURCE);
    await eventually(() => stateOf(fleet) === 'OPEN');
    expect(errorOf(fleet)).toBe('put aside for a while: the canary did not end in time');
    await eventually(async () => (await listInstances(temp.store.db))[0]?.breaker === 'OPEN');
    await one.control.crash();
    await eventually(() => fleet.instances()[0]?.answering === false);
    await one.control.restart();
    await eventually(() => stateOf(fleet) === 'CLOSED');
    expect(one.control.executions()).toMatchObject([{ outcome: 'success' }]);
  });

  it('stays aside when it was only out of reach for a while', async () => {
    const { one, fleet, member } = await oneInstance({ config: { canaryTimeoutMs: 100 } });
    await eventually(() => fleet.instances()[0]?.listening);
    const ended = new Promise((resolve) => {
      fleet.listen({
        onMessage: (_, message) => message.kind === 'executing' && message.node === null && resolve(message),
      });
    });
    const { clientId } = member.beginPrompt();
    const prompt = canaryGraph(null, Math.random);
    await member.http.postPrompt(
      { promptId: randomUUID(), clientId, prompt, extraData: {} },
      { deadlineMs: 3000 },
    );
    await ended;
    one.control.setFaults({ workerDead: true });
    member.experienced({ kind: 'fault', reason: 'a job did not start' }, SOURCE);
    await eventually(() => stateOf(fleet) === 'OPEN');
    const seen: unknown[] = [];
    fleet.listen({
      onComeback: (_, comeback) => seen.push(comeback),
      onQueue: () => seen.length > 0 && seen.push(stateOf(fleet)),
    });
    one.control.setFaults({ frozen: true });
    await eventually(() => fleet.instances()[0]?.answering === false);
    one.control.setFaults({ frozen: false });
    await eventually(() => seen.length > 1);
    expect(seen.slice(0, 2)).toEqual(['same', 'OPEN']);
  });

  it('is tried again when its time is over, until it works', async () => {
    const stickyError = { type: 'RuntimeError', message: 'CUDA error' };
    const { one, fleet, member } = await oneInstance({ config: { breakerOpenMs: 40 } });
    one.control.setFaults({ stickyError });
    member.experienced({ kind: 'quick-failure', jobId: 'a', reason: 'RuntimeError' }, SOURCE);
    member.experienced({ kind: 'quick-failure', jobId: 'b', reason: 'RuntimeError' }, SOURCE);
    const failed = () => one.control.executions().filter((run) => run.outcome === 'error');
    await eventually(() => failed().length >= 3);
    one.control.setFaults({ stickyError: null });
    await eventually(() => stateOf(fleet) === 'CLOSED');
  });

  it('is left alone while it does not answer', async () => {
    const { one, fleet, member } = await oneInstance();
    await one.control.crash();
    await eventually(() => fleet.instances()[0]?.answering === false);
    member.experienced({ kind: 'fault', reason: 'the instance went down' }, SOURCE);
    await eventually(() => healthOf(fleet) === 'UNHEALTHY');
    expect(stateOf(fleet)).toBe('HALF_OPEN');
    expect(member.canaryId).toBeNull();
    expect(errorOf(fleet)).toMatch(/the instance went down; .*refused/);
  });

  it('is tried first by the next process, which does not know what was wrong', async () => {
    const { temp, one, fleet, member } = await oneInstance({ config: { canaryTimeoutMs: 100 } });
    one.control.setFaults({ workerDead: true });
    member.experienced({ kind: 'fault', reason: 'a job did not start' }, SOURCE);
    await eventually(async () => (await listInstances(temp.store.db))[0]?.breaker === 'OPEN');
    await fleet.stop();
    await one.control.restart();
    const next = await startFleet(temp, [one.url]);
    expect(stateOf(next)).toBe('HALF_OPEN');
    await eventually(() => stateOf(next) === 'CLOSED');
  });

  it('does not count its own canary as a prompt of others', async () => {
    const { one, fleet } = await oneInstance();
    one.control.setFaults({ workerDead: true });
    const post = (extraData: object) =>
      fetch(`${one.url}/prompt`, {
        method: 'POST',
        body: JSON.stringify({
          prompt: {
            '1': { class_type: 'RigSleep', inputs: { seconds: 1, steps: 1, preview: 'none', salt: 1 } },
            '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
          },
          prompt_id: randomUUID(),
          extra_data: extraData,
        }),
      });
    await post(canaryTag(fleet.id));
    await post({});
    const instance = await eventually(() => {
      const seen = fleet.instances()[0]?.instance;
      return seen?.queuePending === 2 && seen;
    });
    expect(instance.foreignPrompts).toBe(1);
  });
});
