/**
 * One subscriber that reads 1 KB/s among fast ones, while previews come at about 60 a second: what the gateway keeps for
 * it, and what the others feel of it, beside the same run without it. CHAOS_SECONDS sets how long each run takes.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { TestClient } from '../../test/support/graphql-client.ts';
import { sleepGraph } from '../../test/support/graphs.ts';
import { act, submitGraph } from '../../test/support/jobs.ts';
import { TcpChaos } from '../../test/support/tcp-chaos.ts';
import { type GatewayProgram, withGround } from '../processes.ts';
import type { Scenario } from '../scenario.ts';

const SECONDS = Number(process.env.CHAOS_SECONDS ?? 600);
const FAST = 20;
const PER_SECOND = 60;
const EVENTS = `subscription ($id: ID!) { jobEvents(id: $id) {
  __typename cursor at job { id status labels } ... on PreviewReady { preview { id url } } } }`;

export const slowSubscriber: Scenario = ({ say }) =>
  withGround(async (ground) => {
    const simulator = await ground.simulator('gpu');
    await simulator.start();
    const gateway = await ground.gateway([simulator], { LOG_LEVEL: 'warn', JOB_TIMEOUT_MS: '3600000' });
    await gateway.start();
    const alone = await run(gateway, false, say);
    const beside = await run(gateway, true, say);
    const more = beside.p99 - alone.p99;
    const kept = beside.grownMb - alone.grownMb;
    return [
      {
        row: 'R16',
        what: `1 KB/s reader beside ${FAST} fast ones, ${PER_SECOND} previews/s, ${SECONDS} s`,
        target:
          "its buffers <= 4 MB (seen from outside as memory: + 20 MB at most), the others' p99 lag + < 50 ms",
        measured: `memory grew by ${alone.grownMb} MB without it, by ${beside.grownMb} MB with it; p99 lag ${alone.p99} and ${beside.p99} ms of ${beside.heard} events; it was sent away ${beside.sentAway} times`,
        met: more < 50 && kept < 20 && beside.heard > 0,
      },
    ];
  });

async function run(gateway: GatewayProgram, withSlow: boolean, say: (line: string) => void) {
  const client = new TestClient(gateway.url);
  const steps = SECONDS * PER_SECOND;
  const { id } = await submitGraph(
    client,
    sleepGraph({ seconds: SECONDS, steps, preview: 'JPEG', salt: withSlow ? 1 : 2 }),
    { labels: Object.fromEntries(['a', 'b', 'c', 'd'].map((name) => [name, 'x'.repeat(250)])) },
  );
  const lags: number[] = [];
  const socketUrl = gateway.url.replace('http', 'ws');
  const fast = Array.from({ length: FAST }, () =>
    listen(`${socketUrl}/graphql`, id, (at) => lags.push(Date.now() - at)),
  );
  await using proxy = await TcpChaos.to(Number(new URL(gateway.url).port));
  proxy.add('downstream', { type: 'bandwidth', bytesPerSecond: 1024 });
  const slow = withSlow ? [listen(`ws://127.0.0.1:${proxy.port}/graphql`, id, () => undefined)] : [];
  let peakMb = 0;
  let firstMb = 0;
  for (let second = 0; second < SECONDS; second++) {
    await sleep(1000);
    const mb = Math.round(rssKib(gateway.pid) / 1024);
    firstMb ||= mb;
    peakMb = Math.max(peakMb, mb);
    if (second % Math.max(1, Math.floor(SECONDS / 10)) === 0)
      say(`${withSlow ? 'with' : 'without'} the slow one, ${second} s: ${mb} MB`);
  }
  await act(client, 'cancelJob', id);
  const sentAway = Math.max(0, proxy.accepted - 1);
  for (const each of [...fast, ...slow]) each.terminate();
  await client.close();
  lags.sort((a, b) => a - b);
  const grownMb = peakMb - firstMb;
  return { grownMb, sentAway, heard: lags.length, p99: lags[Math.floor(lags.length * 0.99)] ?? Number.NaN };
}

interface Heard {
  readonly jobEvents: { readonly __typename: string; readonly at: string };
}

/** Comes back whenever it is sent away. */
function listen(url: string, id: string, hear: (at: number) => void): { terminate(): void } {
  const client = createClient({
    url,
    webSocketImpl: WebSocket,
    retryAttempts: 1000,
    retryWait: () => sleep(500),
  });
  const leave = client.subscribe<Heard>(
    { query: EVENTS, variables: { id } },
    {
      next: ({ data }) => {
        if (data?.jobEvents.__typename === 'PreviewReady') hear(Date.parse(data.jobEvents.at));
      },
      error: () => undefined,
      complete: () => undefined,
    },
  );
  return {
    terminate() {
      leave();
      void client.dispose();
    },
  };
}

function rssKib(pid: number | undefined): number {
  if (pid === undefined) return 0;
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
}
