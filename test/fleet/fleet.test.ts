import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { instancesTopic } from '../../src/events/topics.ts';
import { Login } from '../../src/lib/address.ts';
import { findLogin, listInstances } from '../../src/store/instances.ts';
import { findInventories } from '../../src/store/inventories.ts';
import { eventually } from '../support/eventually.ts';
import { healthOf, simulator, startFleet, tempStore } from './fleet-rig.ts';

describe('the fleet', () => {
  it('finds out what an instance is and has, and writes it down', async () => {
    const temp = await tempStore();
    const one = await simulator({ models: { checkpoints: ['mine.safetensors'] } });
    const fleet = await startFleet(temp, [one.url]);
    const inventory = await eventually(() => fleet.instances()[0]?.inventory);
    expect(inventory.models).toContainEqual({ kind: 'checkpoints', name: 'mine.safetensors' });
    const row = await eventually(async () => {
      const [instance] = await listInstances(temp.store.db);
      return instance?.inventoryKey && instance.health === 'HEALTHY' ? instance : null;
    });
    expect(row).toMatchObject({ name: 'gpu0', url: one.url, comfyuiVersion: '0.3.64', lastError: null });
    expect(row.vramTotalBytes).toBeGreaterThan(0);
    expect(row.gpu).toContain('4090');
    const stored = await findInventories(temp.store.db, [row.inventoryKey ?? '']);
    expect(stored.get(row.inventoryKey ?? '')).toEqual(inventory);
  });

  it('stores the lists of equal instances once', async () => {
    const temp = await tempStore();
    const [one, two] = [await simulator(), await simulator()];
    await startFleet(temp, [one.url, two.url]);
    await eventually(async () => {
      const rows = await listInstances(temp.store.db);
      return rows.length === 2 && rows.every((row) => row.inventoryKey !== null);
    });
    const rows = await temp.store.db.selectFrom('inventories').selectAll().execute();
    expect(rows).toHaveLength(1);
  });

  it('calls an instance UNHEALTHY after three misses and HEALTHY at its first answer, and says so on the bus', async () => {
    const temp = await tempStore();
    const one = await simulator();
    const bus = new MemoryBus();
    const fleet = await startFleet(temp, [one.url], { bus });
    const subscription = await bus.subscribe([instancesTopic]);
    await eventually(() => healthOf(fleet) === 'HEALTHY');
    await one.control.crash();
    await eventually(() => healthOf(fleet) === 'UNHEALTHY');
    const [down] = await listInstances(temp.store.db);
    expect(down).toMatchObject({ health: 'UNHEALTHY', upSince: null });
    expect(down?.lastError).toContain('refused');
    expect(fleet.instances()[0]?.answering).toBe(false);
    await one.control.restart();
    await eventually(() => healthOf(fleet) === 'HEALTHY' && fleet.instances()[0]?.listening);
    expect((await subscription.next()).value).toMatchObject({ kind: 'instance' });
    subscription.close();
  });

  it('tells of a probe only when it found something new, or somebody waits for it', async () => {
    const one = await simulator();
    const fleet = await startFleet(await tempStore(), [one.url]);
    await eventually(() => fleet.instances()[0]?.inventory && fleet.instances()[0]?.listening);
    let probes = 0;
    const told: number[] = [];
    fleet.listen({ onQueue: () => probes++, onChange: () => told.push(probes) });
    await eventually(() => probes >= 3);
    const before = told.length;
    await eventually(() => probes >= 8);
    expect(told.length).toBe(before);
    fleet.members()[0]?.probeSoon();
    await eventually(() => told.length > before);
    one.control.setFaults({ frozen: true });
    const heard = told.length;
    await eventually(() => told.length > heard);
    expect(fleet.instances()[0]?.answering).toBe(false);
  });

  it('counts an instance that does not answer in time as missed', async () => {
    const temp = await tempStore();
    const one = await simulator();
    const fleet = await startFleet(temp, [one.url]);
    await eventually(() => healthOf(fleet) === 'HEALTHY');
    one.control.freeze();
    await eventually(() => healthOf(fleet) === 'UNHEALTHY');
    one.control.thaw();
    await eventually(() => healthOf(fleet) === 'HEALTHY');
  });

  it('calls an instance DEGRADED when it answers but takes no WebSocket', async () => {
    const temp = await tempStore();
    const one = await simulator({ faults: { refuseSockets: true } });
    const fleet = await startFleet(temp, [one.url]);
    await eventually(() => healthOf(fleet) === 'DEGRADED');
    expect(fleet.instances()[0]?.instance.lastError).toMatch(/its WebSocket is down \(.* status 503\)/);
    one.control.clearFaults();
    await eventually(() => healthOf(fleet) === 'HEALTHY', { withinMs: 20_000 });
  });

  it('says what a proxy must do that does not pass WebSockets on', async () => {
    const temp = await tempStore();
    const server = createServer((request, response) => {
      response.statusCode = request.url?.startsWith('/ws') ? 400 : 200;
      response.end('{"exec_info": {"queue_remaining": 0}}');
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void server.close());
    const fleet = await startFleet(temp, [`http://127.0.0.1:${(server.address() as AddressInfo).port}`]);
    await eventually(() => healthOf(fleet) === 'DEGRADED');
    expect(fleet.instances()[0]?.instance.lastError).toMatch(/status 400: a proxy .* must pass Upgrade/);
  });

  it('keeps the id of an instance for as long as its URL is configured, and removes it afterwards', async () => {
    const temp = await tempStore();
    const [one, two] = [await simulator(), await simulator()];
    const first = await startFleet(temp, [one.url, two.url]);
    const ids = first.instances().map((state) => state.instance.id);
    await first.stop();
    const second = await startFleet(temp, [two.url]);
    expect(second.instances().map((state) => state.instance.id)).toEqual([ids[1]]);
    expect(second.id).toBe(first.id);
    const all = await listInstances(temp.store.db, { includeRemoved: true });
    expect(all.find((instance) => instance.id === ids[0])?.removedAt).not.toBeNull();
  });

  it('knows an instance again whose login has changed, and uses the new one', async () => {
    const temp = await tempStore();
    const one = await simulator();
    const named = (login: Login | null) => ({
      config: { comfyuiInstances: [{ name: 'gpu', url: one.url, login, capacity: 1 }] },
    });
    const ids: string[] = [];
    for (const login of [new Login('ann:old'), new Login('ann:new'), null]) {
      const fleet = await startFleet(temp, [], named(login));
      const [state] = fleet.instances();
      ids.push(state?.instance.id ?? 'none');
      expect(JSON.stringify(state)).not.toMatch(/ann|old|new/);
      expect((await findLogin(temp.store.db, ids[0] ?? ''))?.reveal()).toBe(login?.reveal());
      await fleet.stop();
    }
    expect(new Set(ids).size).toBe(1);
  });

  it('counts prompts that are not its own', async () => {
    const temp = await tempStore();
    const one = await simulator();
    const fleet = await startFleet(temp, [one.url]);
    const sleep = { class_type: 'RigSleep', inputs: { seconds: 30, steps: 100, preview: 'none', salt: 1 } };
    const save = { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } };
    const tagged = { comfyfleet: { fleet: fleet.id, job: 'j', attempt: 'a' } };
    for (const extra_data of [{}, { comfyfleet: { fleet: 'another' } }, tagged]) {
      const body = JSON.stringify({ prompt: { '1': sleep, '2': save }, extra_data });
      await fetch(`${one.url}/prompt`, { method: 'POST', body });
    }
    await eventually(() => fleet.instances()[0]?.instance.queuePending === 2);
    expect(fleet.instances()[0]?.instance).toMatchObject({ queueRunning: 1, foreignPrompts: 2 });
  });

  it('gives work to nobody who could not be reached a moment ago, until a probe is answered', async () => {
    const temp = await tempStore();
    const one = await simulator();
    const fleet = await startFleet(temp, [one.url]);
    await eventually(() => fleet.instances()[0]?.answering);
    fleet.members()[0]?.noteFailure('connection refused');
    expect(fleet.instances()[0]?.answering).toBe(false);
    await eventually(() => fleet.instances()[0]?.answering);
  });

  it('reads the lists of an instance that came up while the store took nothing', async () => {
    const temp = await tempStore();
    const one = await simulator();
    await one.control.crash();
    const fleet = await startFleet(temp, [one.url]);
    const comebacks: string[] = [];
    fleet.listen({ onComeback: (id) => comebacks.push(id) });
    const original = temp.store.db.updateTable;
    Object.assign(temp.store.db, {
      updateTable: () => {
        throw new Error('the disk is full');
      },
    });
    await one.control.restart();
    await eventually(() => fleet.instances()[0]?.answering);
    await eventually(() => fleet.instances()[0]?.inventory);
    expect(comebacks).toHaveLength(1);
    Object.assign(temp.store.db, { updateTable: original });
  });

  it('leaves nothing open when it stops', async () => {
    const temp = await tempStore();
    const one = await simulator();
    const fleet = await startFleet(temp, [one.url, 'http://127.0.0.1:9']);
    await eventually(() => one.control.socketCount() === 1);
    await fleet.stop();
    await eventually(() => one.control.socketCount() === 0);
  });
});
