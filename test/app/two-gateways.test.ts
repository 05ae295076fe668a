/** Two whole gateways on one Postgres: each serves clients, one of them schedules. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { everything, firstThat } from '../support/graphql-client.ts';
import { sleepGraph } from '../support/graphs.ts';
import { ended, findJob, type JobView, submitGraph } from '../support/jobs.ts';
import { type RunningGateway, startGateway } from '../support/running-gateway.ts';
import { createTestDatabase } from '../support/test-database.ts';

async function twoGateways(): Promise<readonly [RunningGateway, RunningGateway]> {
  const database = await createTestDatabase();
  onTestFinished(() => database.drop());
  const files = await mkdtemp(join(tmpdir(), 'comfyfleet-two-'));
  onTestFinished(() => rm(files, { recursive: true, force: true }));
  const config = { databaseUrl: database.url, storageUrl: pathToFileURL(files).href };
  const first = await startGateway({ config });
  const comfyuiInstances = first.instances.map(({ url }, index) => ({
    name: `gpu${index + 1}`,
    url,
    capacity: 1,
  }));
  // its own instance is none of the fleet
  const second = await startGateway({ config: { ...config, comfyuiInstances } });
  return [first, second];
}

const completed = ({ client }: RunningGateway, id: string): Promise<JobView> =>
  eventually(
    async () => {
      const job = await findJob(client, id);
      return job?.status === 'COMPLETED' && job;
    },
    { what: 'the job is completed' },
  );

const schedulerCheck = async ({ client }: RunningGateway) => {
  type Answer = { health: { checks: { name: string; ok: boolean }[] } };
  const { health } = await client.run<Answer>('{ health { checks { name ok } } }');
  return health.checks.find(({ name }) => name === 'scheduler');
};

describe('two gateways on one database', () => {
  it('run what either takes in, without a bus between them, and the second schedules once the first has stopped', async () => {
    const [first, second] = await twoGateways();
    const [instance] = first.instances;
    const heard = await submitGraph(second.client, sleepGraph({ seconds: 0.1, salt: 1 }));
    const job = await completed(second, heard.id);
    expect((await fetch(job.outputs[0]?.url ?? '')).status).toBe(200);
    expect((await completed(first, heard.id)).attempts).toHaveLength(1);
    for (const gateway of [first, second]) expect(await schedulerCheck(gateway)).toMatchObject({ ok: true });
    expect(instance?.control.socketCount()).toBe(1);

    await first.halt();
    const next = await submitGraph(second.client, sleepGraph({ seconds: 0.1, salt: 2 }));
    expect((await completed(second, next.id)).attempts).toHaveLength(1);
    expect(instance?.control.executions()).toHaveLength(2);
    expect(await schedulerCheck(second)).toMatchObject({ ok: true });
  }, 60_000);

  it('tell subscribers of the one that does not lead how jobs go on and end', async () => {
    const [, { client }] = await twoGateways();
    const { id } = await submitGraph(client, sleepGraph({ seconds: 0.1, salt: 3 }));
    expect(await ended(client, id)).toMatchObject({ status: 'COMPLETED', outputs: [{ node: '2' }] });

    const events = 'subscription ($id: ID!) { jobEvents(id: $id) { __typename } }';
    const second = await submitGraph(client, sleepGraph({ seconds: 0.1, salt: 4 }));
    const told = await everything(
      client.watch<{ jobEvents: { __typename: string } }>(events, { id: second.id }),
    );
    expect(told.at(-1)?.jobEvents.__typename).toBe('JobFinished');

    const many = client.watch<{ jobs: JobView }>('subscription { jobs { id status } }');
    const third = await submitGraph(client, sleepGraph({ seconds: 0.1, salt: 5 }));
    await firstThat(many, ({ jobs }) => jobs.id === third.id && jobs.status === 'COMPLETED');
  }, 60_000);
});
