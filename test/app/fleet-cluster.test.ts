/** The fleet changed through one replica: every process agrees, also after its leader died. */
import { expect, it, onTestFinished } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { Cluster } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import {
  addInstance,
  changeInstance,
  INSTANCE,
  type InstanceView,
  instance,
  instances,
  removeInstance,
} from '../support/fleet-commands.ts';
import { sleepGraph } from '../support/graphs.ts';
import { ended, jobThat, submitGraph } from '../support/jobs.ts';
import { socketClient, watch } from '../support/watch.ts';

it('changes the fleet for every process, over the death of the leader', async () => {
  const cluster = await Cluster.start({ instances: [{}] });
  onTestFinished(() => cluster.stop());
  const late = await startSimulator();
  onTestFinished(() => late.stop());
  const [here, there] = [cluster.client(0), cluster.client(1)];
  const seen = watch<InstanceView>(
    socketClient(there.endpoint.replace('http', 'ws')),
    `subscription { instances { ${INSTANCE} } }`,
  );
  onTestFinished(() => seen.stop());
  const named = await seen.until(({ name }) => name === 'gpu1');

  const added = (await addInstance(here, { url: late.url, name: 'late' })).instance;
  expect(await seen.until(({ name }) => name === 'late')).toMatchObject({ id: added?.id });
  await changeInstance(here, 'drainInstance', named.id);
  await seen.until(({ id, draining }) => id === named.id && draining);
  const running = await submitGraph(there, sleepGraph({ seconds: 4, steps: 40, salt: 1 }));
  await jobThat(there, running.id, (job) => job.instance?.id === added?.id);

  const leader = await cluster.leader();
  await cluster.end(leader, 'SIGKILL');
  await cluster.leader();
  const held = await submitGraph(there, sleepGraph({ seconds: 0, salt: 2 }));
  expect((await removeInstance(there, added?.id ?? '')).__typename).toBe('RemoveInstanceSuccess');

  await eventually(async () => (await instances(here)).length === 1, { what: 'it left the fleet' });
  expect(late.control.executions().map(({ outcome }) => outcome)).toEqual(['interrupted']);
  expect((await instance(here, named.id))?.draining).toBe(true);
  expect(cluster.instances[0]?.control.executions()).toEqual([]);
  await changeInstance(here, 'resumeInstance', named.id);
  for (const { id } of [running, held]) {
    expect(await ended(here, id)).toMatchObject({ status: 'COMPLETED', instance: { id: named.id } });
  }
  expect(seen.values.filter(({ removedAt }) => removedAt !== null).map(({ id }) => id)).toEqual([added?.id]);
}, 90_000);
