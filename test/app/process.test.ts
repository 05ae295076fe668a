/** The gateway as a process that is asked to stop, or killed, in the middle of a job: nothing is lost, nothing runs twice. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { NetworkError } from 'graphql-sse';
import { createClient } from 'graphql-ws';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { freePort } from '../../chaos/ports.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { runMain, startGatewayProcess } from '../support/gateway-process.ts';
import { TestClient } from '../support/graphql-client.ts';
import { sleepGraph } from '../support/graphs.ts';
import { ended, followEvents, jobThat, submitGraph, submitted } from '../support/jobs.ts';

async function rig(): Promise<{ dataDir: string; instance: Simulator }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-process-'));
  const instance = await startSimulator({ stepMs: 250 });
  onTestFinished(async () => {
    await instance.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  return { dataDir, instance };
}

/** Runs for most of a minute, unless `hurry` lets it off the rest. */
const submitLong = (client: TestClient) =>
  submitted(client, 'generateImage', { prompt: 'a long road', steps: 150, width: 64, height: 64 });

const hurry = (instance: Simulator): void => instance.control.adjust({ stepMs: 0 });

function clientOf(url: string): TestClient {
  const client = new TestClient(url);
  onTestFinished(() => client.close());
  return client;
}

describe('a gateway that is asked to stop while it waits for its database', () => {
  it('ends at once, in order, and says so in one line', async () => {
    const { dataDir } = await rig();
    const port = await freePort();
    const env = {
      PORT: '0',
      DATA_DIR: dataDir,
      LOG_LEVEL: 'info',
      DATABASE_URL: `postgres://nobody@127.0.0.1:${port}/x`,
    };
    const child = runMain(['serve'], env);
    const [lines, complaints]: [string[], string[]] = [[], []];
    child.stderr?.on('data', (chunk: Buffer) => complaints.push(chunk.toString()));
    const exited = once(child, 'exit');
    for await (const line of createInterface({ input: child.stdout as Readable })) {
      lines.push(line);
      if (line.includes('it is waited for') && !child.killed) child.kill('SIGTERM');
    }
    expect(await exited).toEqual([0, null]);
    expect(lines.at(-1)).toContain('comfyfleet was asked to stop before it served');
    expect(lines.filter((line) => !line.includes('it is waited for'))).toHaveLength(1);
    expect(complaints).toEqual([]);
  });
});

describe('a gateway that is asked to stop while a job runs', () => {
  it('closes its subscriptions so that clients come back, leaves the run alone, and finishes the job after the next start (F9)', async () => {
    const { dataDir, instance } = await rig();
    const first = await startGatewayProcess(dataDir, [instance.url]);
    const client = clientOf(first.url);
    const { id } = await submitLong(client);
    await jobThat(client, id, (job) => job.progress.step !== null);
    const waiting = await submitGraph(client, sleepGraph({ seconds: 0, salt: 2 }));
    const synchronous = client.ask<{ submitJob: { job: { status: string } } }>(
      'mutation Submit($graph: JSONObject!) { submitJob(input: { graph: $graph, waitMs: 60000 }) { ... on SubmitJobSuccess { job { id status } } } }',
      { graph: sleepGraph({ seconds: 0, salt: 3 }) },
    );
    const events = endOfEvents(client, id);
    const socket = await watchingSocket(first.url, id);
    await events.begun;

    const startedAt = performance.now();
    expect(await first.end('SIGTERM')).toBe(0);

    // the promise to orchestrators, who kill what takes longer
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(await events.end).toBeInstanceOf(NetworkError);
    expect(await socket.end).toBe('closed: 1012');
    expect((await synchronous).data?.submitJob.job.status).toBe('PENDING');
    expect(instance.control.executions()).toMatchObject([{ outcome: 'running' }]);

    const second = await startGatewayProcess(dataDir, [instance.url]);
    const again = clientOf(second.url);
    await jobThat(again, id, (job) => job.progress.step !== null);
    hurry(instance);
    const job = await ended(again, id);
    expect(job).toMatchObject({ status: 'COMPLETED', outputs: [{ mimeType: 'image/png' }] });
    expect(job.attempts).toHaveLength(1);
    expect((await ended(again, waiting.id)).status).toBe('COMPLETED');
    const runs = instance.control
      .executions()
      .filter(({ promptId }) => promptId === job.attempts[0]?.promptId);
    expect(runs).toMatchObject([{ outcome: 'success' }]);
    expect(await second.end('SIGTERM')).toBe(0);
  }, 40_000);
});

describe('a gateway whose log nobody reads any more', () => {
  it('ends when it is asked to', async () => {
    const { dataDir, instance } = await rig();
    const gateway = await startGatewayProcess(dataDir, [instance.url]);
    gateway.stopReading();
    expect(await gateway.end('SIGTERM')).toBe(0);
  }, 20_000);
});

describe('a gateway that is killed while a job runs', () => {
  it('adopts the run after the next start: one execution, one result, further progress', async () => {
    const { dataDir, instance } = await rig();
    const first = await startGatewayProcess(dataDir, [instance.url]);
    const client = clientOf(first.url);
    const { id } = await submitLong(client);
    await jobThat(client, id, (job) => job.progress.step !== null);

    expect(await first.end('SIGKILL')).toBe('SIGKILL');

    const second = await startGatewayProcess(dataDir, [instance.url]);
    const again = clientOf(second.url);
    await jobThat(again, id, (job) => job.status === 'PROCESSING' && job.progress.step !== null);
    hurry(instance);
    const job = await ended(again, id);
    expect(job).toMatchObject({ status: 'COMPLETED', outputs: [{ mimeType: 'image/png' }] });
    expect(job.attempts).toHaveLength(1);
    expect(instance.control.executions()).toMatchObject([
      { promptId: job.attempts[0]?.promptId, outcome: 'success' },
    ]);
    // the folder is taken
    await expect(startGatewayProcess(dataDir, [instance.url])).rejects.toThrow(/ended before it served/);
  }, 40_000);

  it('finds the result of a run that ended while it was away', async () => {
    const { dataDir, instance } = await rig();
    const first = await startGatewayProcess(dataDir, [instance.url]);
    const client = clientOf(first.url);
    const { id } = await submitGraph(client, sleepGraph({ seconds: 0.5, steps: 5 }));
    await jobThat(client, id, (job) => job.progress.step !== null);
    await first.end('SIGKILL');
    expect(instance.control.executions()).toHaveLength(1);

    const second = await startGatewayProcess(dataDir, [instance.url]);
    const job = await ended(clientOf(second.url), id);

    expect(job).toMatchObject({ status: 'COMPLETED', outputs: [{ mimeType: 'image/png' }] });
    expect(instance.control.executions()).toHaveLength(1);
    expect((await fetch(job.outputs[0]?.url ?? '')).status).toBe(200);
  }, 40_000);
});

/** A subscription as server-sent events: `begun` at its first message, `end` is why it ended; null when it was completed. */
function endOfEvents(client: TestClient, id: string): { begun: Promise<void>; end: Promise<unknown> } {
  let begin: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const read = async (): Promise<void> => {
    for await (const { errors } of followEvents(client, id)) {
      expect(errors).toBeUndefined();
      begin();
    }
  };
  return {
    begun,
    end: read().then(
      () => null,
      (reason: unknown) => reason,
    ),
  };
}

/** A subscription over WebSocket: `completed`, or the code with which the socket was closed before. */
async function watchingSocket(url: string, id: string): Promise<{ end: Promise<string> }> {
  const client = createClient({
    url: `${url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
  });
  onTestFinished(async () => client.dispose());
  let begin: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const end = new Promise<string>((resolve) => {
    client.subscribe(
      { query: 'subscription Job($id: ID!) { job(id: $id) { id status } }', variables: { id } },
      {
        next: begin,
        error: (error) => resolve(`closed: ${(error as { code?: number }).code}`),
        complete: () => resolve('completed'),
      },
    );
  });
  await begun;
  return { end };
}
