/** Ten thousand requests that nobody should send, eight at a time: no 5xx, no crash, answers in time, memory as before. */
import { readFileSync } from 'node:fs';
import { eventually } from '../../test/support/eventually.ts';
import { sendMalformed } from '../../test/support/malformed.ts';
import { withGround } from '../processes.ts';
import { randomFrom, type Scenario } from '../scenario.ts';

const REQUESTS = Number(process.env.CHAOS_REQUESTS ?? 10_000);
const AT_ONCE = 8;

export const malformed: Scenario = ({ seed, say }) =>
  withGround(async (ground) => {
    // healthy, so that /health has no reason for its 503
    const simulator = await ground.simulator('gpu');
    await simulator.start();
    const gateway = await ground.gateway([simulator], { LOG_LEVEL: 'warn' });
    await gateway.start();
    const healthy = async () => (await fetch(`${gateway.url}/health`)).ok;
    await eventually(healthy, { what: 'health' });
    const times: number[] = [];
    const slowest = new Map<string, number>();
    const cut = new Map<string, number>();
    let failures = 0;
    const round = (count: number, salt: number) =>
      Promise.all(
        Array.from({ length: AT_ONCE }, (_, lane) =>
          sendMalformed(
            gateway.url,
            Math.ceil(count / AT_ONCE),
            randomFrom(seed + salt + lane),
            ({ status, what, ms }) => {
              // a broken connection has no answer whose time could be taken
              if (status !== null) {
                times.push(ms);
                slowest.set(what, Math.max(slowest.get(what) ?? 0, ms));
              } else cut.set(what, (cut.get(what) ?? 0) + 1);
              if (status === null || status < 500) return;
              failures += 1;
              say(`${status} for ${what}`);
            },
          ),
        ),
      );
    await round(REQUESTS / 10, 100);
    const before = rssOf(gateway.pid);
    times.length = 0;
    slowest.clear();
    cut.clear();
    await round(REQUESTS, 0);
    const after = rssOf(gateway.pid);
    times.sort((a, b) => a - b);
    const p99 = times[Math.floor(times.length * 0.99)] ?? Number.POSITIVE_INFINITY;
    say(`without an answer: ${[...cut].map(([what, count]) => `${what} ${count}`).join(', ')}`);
    for (const [what, ms] of slowest) say(`slowest of ${what}: ${ms.toFixed(1)} ms`);
    const grown = Math.round((after - before) / 1024);
    return [
      {
        row: 'R19',
        what: `${REQUESTS} malformed requests, seed ${seed}`,
        target: '0 x 5xx, 0 crashes, p99 < 50 ms, memory flat (+ 50 MB at most)',
        measured: `${failures} x 5xx, ${gateway.running ? 0 : 1} crashes, p99 ${p99.toFixed(1)} ms, ${grown} MB more`,
        met: failures === 0 && gateway.running && p99 < 50 && grown < 50,
      },
    ];
  });

/** KiB. */
function rssOf(pid: number | undefined): number {
  if (pid === undefined) return 0;
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
}
