/**
 * The crowd that comes back after a deploy: 5,000 clients that subscribe within two seconds on one API replica, each over a
 * WebSocket of its own, to jobs that wait. How long until each has its snapshot, what it costs the replica, and whether
 * jobs are held up meanwhile. CHAOS_SUBSCRIBERS and CHAOS_JOBS set the size. (R17, F40)
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { TestClient } from '../../test/support/graphql-client.ts';
import { megabytes } from '../gateway-probe.ts';
import { ms } from '../load.ts';
import { percentile } from '../percentile.ts';
import type { Program } from '../processes.ts';
import type { Finding, Scenario } from '../scenario.ts';
import { Crowd } from './crowd.ts';
import { processorMs, residentBytes } from './process-cost.ts';
import { type QuickTimes, quickJobs } from './quick-jobs.ts';
import { withStage } from './stage.ts';
import type { Order, Story } from './subscriber.ts';
import { makeRare, waitingJobs } from './waiting-jobs.ts';

const SUBSCRIBERS = Number(process.env.CHAOS_SUBSCRIBERS ?? 5000);
const JOBS = Number(process.env.CHAOS_JOBS ?? 500);
const OVER_MS = 2000;
const WITHIN_MS = 60_000;
const QUICK_JOBS = 50;
const LOOK_MS = 50;

export const resubscribe: Scenario = ({ seed, say }) =>
  withStage({ apis: 1, schedulers: 1, simulators: 2, prepare: makeRare }, async ({ apis, probe }) => {
    const [api] = apis;
    if (!api) throw new Error('no replica');
    const client = new TestClient(api.url);
    const jobs = await waitingJobs(client, JOBS);
    const calm = await quickJobs(api.url, QUICK_JOBS, AbortSignal.abort());
    say(`${JOBS} jobs wait; a quick one takes ${ms(percentile(calm.whole, 0.5))}`);
    await using crowd = await Crowd.of(2);
    await probe.mark(api);
    const { rss } = await probe.mark(api);
    const stop = new AbortController();
    const peak = peakOf(api, stop.signal);
    const quick = quickJobs(api.url, QUICK_JOBS, stop.signal);
    quick.catch(() => undefined); // thrown below, where it is waited for
    const before = processorMs(api);
    await crowd.begin(ordersOf(jobs, api), OVER_MS, seed);
    const all = await crowd.until(({ settled }) => settled === SUBSCRIBERS, WITHIN_MS);
    const used = processorMs(api) - before;
    stop.abort();
    const [stormy, most] = await Promise.all([quick, peak]);
    const after = await probe.mark(api);
    const stories = await crowd.stories();
    if (!all) say(`${(await crowd.standing()).settled} of ${SUBSCRIBERS} have a snapshot`);
    say(`event loop: p99 ${ms(after.delay.p99)} late, longest ${ms(after.delay.max)}`);
    say(`the replica used ${ms(used)} of processor time, ${(used / SUBSCRIBERS).toFixed(2)} ms a client`);
    await client.close();
    return [
      ...snapshots(stories),
      delay(calm, stormy),
      {
        row: 'R17',
        what: `memory of the replica (RSS), ${megabytes(rss)} before`,
        target: 'below 300 MB more',
        measured: `${megabytes(most - rss)} more at the most, ${megabytes(after.rss - rss)} once settled and collected`,
        met: most - rss < 300e6,
      },
    ];
  });

function ordersOf(jobs: readonly string[], { url }: Program): Order[] {
  return Array.from({ length: SUBSCRIBERS }, (_, n) => ({
    urls: [url],
    jobId: jobs[n % jobs.length] ?? '',
    what: n % 2 === 0 ? ('job' as const) : ('events' as const),
  }));
}

function snapshots(stories: readonly Story[]): Finding[] {
  const times = stories.map(
    ({ begunAt, firstResults }) => (firstResults[0] ?? Number.POSITIVE_INFINITY) - begunAt,
  );
  const first = Math.min(...stories.map(({ begunAt }) => begunAt));
  const last = Math.max(...stories.map(({ firstResults }) => firstResults[0] ?? Number.POSITIVE_INFINITY));
  const sentAway = stories.reduce((sum, story) => sum + story.sentAway, 0);
  const errors = stories.flatMap((story) => story.errors);
  return [
    {
      row: 'R17',
      what: `${SUBSCRIBERS} clients subscribe within ${OVER_MS / 1000} s to ${JOBS} jobs, one WebSocket each`,
      target: 'each has its snapshot within 5 s',
      measured: `p50 ${ms(percentile(times, 0.5))}, p99 ${ms(percentile(times, 0.99))}, longest ${ms(Math.max(...times))}; all had it ${ms(last - first)} after the first came; asked ${sentAway} times to come again (1013), ${errors.length} errors${errors[0] ? `, first ${errors[0]}` : ''}`,
      met: Math.max(...times) <= 5000 && errors.length === 0,
    },
  ];
}

function delay(calm: QuickTimes, stormy: QuickTimes): Finding {
  const more = Math.max(...stormy.whole) - percentile(calm.whole, 0.5);
  const of = ({ whole }: QuickTimes): string =>
    `p50 ${ms(percentile(whole, 0.5))}, longest ${ms(Math.max(...whole))}`;
  return {
    row: 'R17',
    what: `jobs submitted and waited for at the same replica meanwhile (${stormy.whole.length})`,
    target: 'none delayed by more than 1 s',
    measured: `${of(stormy)}; before ${of(calm)}; until an instance had it at most ${ms(Math.max(...stormy.queued))}; ${stormy.refused} submits refused and sent again`,
    met: more <= 1000 && stormy.refused === 0,
  };
}

async function peakOf(program: Program, signal: AbortSignal): Promise<number> {
  let most = 0;
  while (!signal.aborted) {
    most = Math.max(most, residentBytes(program));
    await sleep(LOOK_MS);
  }
  return most;
}
