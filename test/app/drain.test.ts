/** A gateway process that is told to stop while clients use it, and one rolling restart after another under load. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { decodeGlobalId } from '../../src/graphql/global-id.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { EventWatch } from '../support/event-watch.ts';
import { eventually } from '../support/eventually.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { TestClient } from '../support/graphql-client.ts';
import { sleepGraph } from '../support/graphs.ts';
import { assertStoppedHistory } from '../support/history-checker.ts';
import { ended, findJob, jobThat, submitGraph } from '../support/jobs.ts';

async function rig(instances: number) {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-drain-'));
  const simulators = await Promise.all(Array.from({ length: instances }, () => startSimulator()));
  onTestFinished(async () => {
    await Promise.all(simulators.map((simulator) => simulator.stop()));
    await rm(dataDir, { recursive: true, force: true });
  });
  const evidence = () => ({
    instances: simulators.map(({ control }) => ({
      prompts: control.prompts(),
      executions: control.executions(),
    })),
  });
  return { dataDir, urls: simulators.map(({ url }) => url), simulators, evidence };
}

const bare = (id: string): string => decodeGlobalId(id)?.id ?? id;

describe('a gateway that is asked to stop (F9)', () => {
  it('says first that it is not ready, serves on for the delay, and begins no more attempts', async () => {
    const { dataDir, urls, simulators, evidence } = await rig(1);
    const env = { SHUTDOWN_DELAY_MS: '4000', HOST: '127.0.0.1' };
    const first = await startGatewayProcess(dataDir, urls, env);
    const client = new TestClient(first.url);
    onTestFinished(() => client.close());
    const ready = async (): Promise<number> => (await fetch(`${first.url}/ready`)).status;
    expect(await ready()).toBe(200);
    const running = await submitGraph(client, sleepGraph({ seconds: 2, steps: 20, salt: 1 }));
    await jobThat(client, running.id, (job) => job.progress.step !== null);

    const stopped = first.end('SIGTERM');

    await eventually(async () => (await ready()) === 503, { what: 'not ready' });
    const late = await submitGraph(client, sleepGraph({ seconds: 0, salt: 2 }));
    expect((await ended(client, running.id)).status).toBe('COMPLETED');
    expect(await findJob(client, late.id)).toMatchObject({ status: 'PENDING', attempts: [] });
    expect(await stopped).toBe(0);
    expect(simulators[0]?.control.executions()).toHaveLength(1);

    const second = await startGatewayProcess(dataDir, urls);
    const again = new TestClient(second.url);
    onTestFinished(() => again.close());
    expect((await ended(again, late.id)).status).toBe('COMPLETED');
    expect(await second.end('SIGTERM')).toBe(0);
    await assertStoppedHistory(dataDir, { ...evidence(), acknowledged: [running.id, late.id].map(bare) });
  }, 120_000);

  it('five times under load: nothing fails, nothing runs twice, and each client sees each end once', async () => {
    const { dataDir, urls, evidence } = await rig(2);
    const watches: EventWatch[] = [];
    const acknowledged: string[] = [];
    for (let life = 0; life < 5; life++) {
      const gateway = await startGatewayProcess(dataDir, urls);
      const client = new TestClient(gateway.url);
      for (const watch of watches) watch.listen(client);
      for (let n = 0; n < 8; n++) {
        const seconds = 0.1 + 0.1 * (n % 4);
        const { id } = await submitGraph(client, sleepGraph({ seconds, steps: 4, salt: 100 * life + n }));
        acknowledged.push(id);
        const watch = new EventWatch(id);
        watch.listen(client);
        watches.push(watch);
      }
      await eventually(() => watches.filter(({ ended }) => ended).length > life * 8, { what: 'some end' });
      if (life === 4) await eventually(() => watches.every(({ ended }) => ended), { what: 'all ends' });
      expect(await gateway.end('SIGTERM')).toBe(0);
      await Promise.all(watches.map((watch) => watch.left()));
      await client.close();
    }
    const subscribers = watches.map((watch) => ({ ...watch.log(), stayed: true }));
    await assertStoppedHistory(dataDir, {
      ...evidence(),
      acknowledged: acknowledged.map(bare),
      subscribers,
    });
    const ends = subscribers.map(({ events }) => events.filter(({ type }) => type === 'JobFinished').length);
    expect(ends).toEqual(watches.map(() => 1));
    const runs = evidence().instances.flatMap(({ executions }) => executions);
    expect(runs.filter(({ outcome }) => outcome === 'success')).toHaveLength(40);
    expect(runs).toHaveLength(40);
  }, 180_000);
});
