/**
 * How late the gateway's event loop is while 200 subscribers are told of running jobs and four clients download files of
 * 20 MB at the same time. Measured within its process, and beside it as the time /live takes to answer. (R21)
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { quantile } from '../../bench/statistics.ts';
import { TestClient } from '../../test/support/graphql-client.ts';
import { sleepGraph } from '../../test/support/graphs.ts';
import { findJob } from '../../test/support/jobs.ts';
import { GatewayProbe } from '../gateway-probe.ts';
import { ms, startAll, submit, untilIdle } from '../load.ts';
import { withGround } from '../processes.ts';
import type { Finding, Scenario } from '../scenario.ts';

const SECONDS = Number(process.env.CHAOS_SECONDS ?? 60);
const SUBSCRIBERS = 200;
const PER_SOCKET = 20;
const DOWNLOADS = 4;
/** A noisy picture of about 20 MB. */
const SIDE = Number(process.env.CHAOS_SIDE ?? 2640);

export const loopLag: Scenario = ({ seed, say }) =>
  withGround(async (ground) => {
    const simulators = await Promise.all(
      Array.from({ length: 4 }, (_, n) => ground.simulator(`gpu${n}`, { stepMs: 50 })),
    );
    await startAll(simulators);
    const probe = await GatewayProbe.on(ground, 3_600_000);
    const gateway = await ground.gateway(simulators, probe.env);
    await startAll([gateway]);
    const client = new TestClient(gateway.url);
    const url = await bigFile(client, seed);
    say(`${SUBSCRIBERS} subscribers, ${DOWNLOADS} downloads at a time, ${SECONDS} s`);
    const clients = Array.from({ length: SUBSCRIBERS / PER_SOCKET }, () => new TestClient(gateway.url));
    const stop = new AbortController();
    const heard = { updates: 0 };
    for (const one of clients) {
      for (let n = 0; n < PER_SOCKET; n++) void listen(one, heard);
    }
    await sleep(1000);
    await probe.mark(gateway);
    const answers: number[] = [];
    const tasks = [
      ...Array.from({ length: DOWNLOADS }, () => download(url, stop.signal)),
      keepBusy(client, stop.signal),
      knock(gateway.url, answers, stop.signal),
    ];
    const startedAt = performance.now();
    while (performance.now() - startedAt < SECONDS * 1000) {
      await sleep(5000);
      say(`${Math.round((performance.now() - startedAt) / 1000)} s: ${heard.updates} updates heard`);
    }
    // before anything is taken down, and before the collection that the mark itself makes
    const { delay } = await probe.mark(gateway);
    stop.abort();
    const bytes = (await Promise.all(tasks)).reduce((sum, one) => sum + one, 0);
    await untilIdle(client, { withinMs: 60_000, say });
    await Promise.all([...clients, client].map((one) => one.close()));
    say(`${(bytes / 1e6).toFixed(0)} MB downloaded, ${heard.updates} updates heard`);
    return [
      row('delay of the event loop, p99', 'below 50 ms', ms(delay.p99), delay.p99 < 50),
      row('delay of the event loop, longest', 'below 500 ms', ms(delay.max), delay.max < 500),
      row(
        `/live as another process sees it, p99 of ${answers.length} (its own lateness included)`,
        'below 50 ms',
        `${ms(quantile(answers, 0.99))}, longest ${ms(Math.max(...answers))}`,
        quantile(answers, 0.99) < 50,
      ),
    ];
  });

function row(what: string, target: string, measured: string, met: boolean): Finding {
  return { row: 'R21', what, target, measured, met };
}

async function bigFile(client: TestClient, salt: number): Promise<string> {
  const graph = {
    '1': { class_type: 'RigNoise', inputs: { width: SIDE, height: SIDE, batch: 1, salt } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'big' } },
  };
  const id = await submit(client, graph);
  for (let tries = 0; tries < 1200; tries++) {
    const job = await findJob(client, id);
    if (job?.status === 'COMPLETED' && job.outputs[0]?.url) return job.outputs[0].url;
    if (job?.status === 'FAILED') break;
    await sleep(100);
  }
  throw new Error('the large picture was not made');
}

async function listen(client: TestClient, heard: { updates: number }): Promise<void> {
  try {
    const query = 'subscription { jobs { id status progress { fraction step } preview { url } } }';
    for await (const _ of client.watch(query)) heard.updates++;
  } catch {
    // closed at the end
  }
}

/** One file after the other; answers the bytes. */
async function download(url: string, signal: AbortSignal): Promise<number> {
  let bytes = 0;
  while (!signal.aborted) {
    const { body } = await request(url);
    for await (const piece of body) bytes += (piece as Buffer).length;
  }
  return bytes;
}

/** Always four jobs of five steps a second, each of which every subscriber is told: some thousands of messages a second. */
async function keepBusy(client: TestClient, signal: AbortSignal): Promise<number> {
  let salt = randomBytes(4).readUInt32BE();
  while (!signal.aborted) {
    const graph = sleepGraph({ seconds: 2, steps: 10, salt: salt++ });
    await submit(client, graph);
    await sleep(500);
  }
  return 0;
}

async function knock(url: string, answers: number[], signal: AbortSignal): Promise<number> {
  while (!signal.aborted) {
    const at = performance.now();
    await (await fetch(`${url}/live`)).arrayBuffer();
    answers.push(performance.now() - at);
    await sleep(50);
  }
  return 0;
}
