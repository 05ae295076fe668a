/**
 * Two API replicas with a thousand subscribers on running jobs, half on each, every one over its own WebSocket; then one
 * replica is killed. Every client goes to the other one and must see the end of its job exactly once. Half of them follow
 * the job, half its events from their cursor on. CHAOS_SUBSCRIBERS and CHAOS_ROUNDS set the size.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { TestClient } from '../../test/support/graphql-client.ts';
import { sleepGraph } from '../../test/support/graphs.ts';
import { act } from '../../test/support/jobs.ts';
import { ms, queueLength, submit, untilIdle } from '../load.ts';
import { percentile } from '../percentile.ts';
import type { Program } from '../processes.ts';
import { type Finding, randomFrom, type Scenario, type ScenarioSetting } from '../scenario.ts';
import { Crowd } from './crowd.ts';
import { type Stage, withStage } from './stage.ts';
import { now, type Order, type Story } from './subscriber.ts';

const SUBSCRIBERS = Number(process.env.CHAOS_SUBSCRIBERS ?? 1000);
const ROUNDS = Number(process.env.CHAOS_ROUNDS ?? 3);
const SIMULATORS = 4;
/** One runs on each instance at the kill, the others follow. */
const JOBS = 12;
const JOB_SECONDS = 6;
/** Longer than all subscribers need to come. */
const HOLD_SECONDS = 120;
const WITHIN_MS = 90_000;

interface Round {
  readonly stories: readonly Story[];
  /** Of those whose replica was killed: ms from the kill to the first result from the other one. */
  readonly back: readonly number[];
}

export const replicaKilled: Scenario = (setting) =>
  withStage({ apis: 2, schedulers: 1, simulators: SIMULATORS }, async (stage) => {
    const rounds: Round[] = [];
    for (let n = 0; n < ROUNDS; n++) rounds.push(await round(stage, n, setting));
    return findings(rounds);
  });

async function round(stage: Stage, n: number, { seed, say }: ScenarioSetting): Promise<Round> {
  const [victim, other = victim] = n % 2 === 0 ? stage.apis : [...stage.apis].reverse();
  if (!victim || !other) throw new Error('no replica');
  const client = new TestClient(other.url);
  await using crowd = await Crowd.of(2);
  const holders = await submitAll(client, SIMULATORS, HOLD_SECONDS, n);
  const jobs = await submitAll(client, JOBS, JOB_SECONDS, n + ROUNDS);
  await crowd.begin(ordersOf(jobs, [victim, other]), (SUBSCRIBERS / 400) * 1000, seed);
  const all = await crowd.until(({ settled }) => settled === SUBSCRIBERS, 60_000);
  await Promise.all(holders.map((id) => act(client, 'cancelJob', id)));
  await untilRunning(client, SIMULATORS);
  await sleep(randomFrom(seed + n)() * (JOB_SECONDS - 1) * 1000);
  const before = await crowd.standing();
  say(`round ${n + 1}: ${all ? 'all' : before.settled} subscribed, ${before.completed} saw the end already`);
  const killedAt = now();
  await victim.end('SIGKILL');
  const restart = victim === other ? victim.start() : undefined;
  // until the clients know
  await crowd.until(({ connected }) => connected < before.connected, 5000);
  const settled = await crowd.until((standing) => standing.settled === SUBSCRIBERS, 60_000);
  say(
    `round ${n + 1}: ${settled ? 'all are back' : 'NOT all are back'} ${ms(now() - killedAt)} after the kill`,
  );
  if (!victim.running) await victim.start();
  await untilIdle(client, { withinMs: WITHIN_MS, say });
  await crowd.until(({ completed }) => completed === SUBSCRIBERS, 30_000);
  await restart;
  await client.close();
  const stories = await crowd.stories();
  return { stories, back: backAfter(stories, killedAt) };
}

function submitAll(client: TestClient, count: number, seconds: number, n: number): Promise<string[]> {
  const graph = (job: number) =>
    sleepGraph({ seconds, steps: seconds * 5, salt: n * JOBS + job, preview: 'JPEG' });
  return Promise.all(Array.from({ length: count }, (_, job) => submit(client, graph(job))));
}

/** Jobs that nobody holds back run now. */
async function untilRunning(client: TestClient, count: number): Promise<void> {
  const within = performance.now() + WITHIN_MS;
  for (;;) {
    const { processing, pending } = await queueLength(client);
    if (processing === count && pending === JOBS - count) return;
    if (performance.now() > within) throw new Error('the jobs did not start');
    await sleep(50);
  }
}

/** The first half of the clients goes to the one replica first, the second half to the other. */
function ordersOf(jobs: readonly string[], replicas: readonly Program[]): Order[] {
  const urls = replicas.map(({ url }) => url);
  return Array.from({ length: SUBSCRIBERS }, (_, n) => ({
    urls: n < SUBSCRIBERS / 2 ? urls : [...urls].reverse(),
    jobId: jobs[n % jobs.length] ?? '',
    what: Math.floor(n / jobs.length) % 2 === 0 ? ('job' as const) : ('events' as const),
  }));
}

function backAfter(stories: readonly Story[], killedAt: number): number[] {
  return stories
    .filter(({ cutsAt }) => cutsAt.some((at) => at > killedAt))
    .map(
      ({ firstResults }) => (firstResults.find((at) => at > killedAt) ?? Number.POSITIVE_INFINITY) - killedAt,
    );
}

function findings(rounds: readonly Round[]): Finding[] {
  const stories = rounds.flatMap((round) => round.stories);
  const back = rounds.flatMap((round) => round.back);
  const count = (fits: (story: Story) => boolean): number => stories.filter(fits).length;
  const sum = (of: (story: Story) => number): number => stories.reduce((all, story) => all + of(story), 0);
  const missing = count(({ ends, completed }) => ends === 0 || !completed);
  const doubled = count(({ ends }) => ends > 1);
  const errors = stories.flatMap((story) => story.errors);
  const gaps = sum((story) => story.missed);
  const repeats = sum((story) => story.doubled);
  const who = `${rounds.length} x ${SUBSCRIBERS} WebSocket subscribers on 2 API replicas, one killed with -9`;
  return [
    {
      row: 'F40',
      what: who,
      target: 'every client sees the end of its job exactly once',
      measured: `${back.length} cut off by a kill, ${sum(({ connects }) => connects) - stories.length} reconnects (${sum(({ sentAway }) => sentAway)} times asked to come again, ${sum(({ failures }) => failures)} handshakes failed); ends missing ${missing}, doubled ${doubled}; errors ${errors.length}${errors[0] ? ` (${errors[0]})` : ''}`,
      met: missing === 0 && doubled === 0 && errors.length === 0 && back.length > 0,
    },
    {
      row: 'F40',
      what: `kept events of those who followed them (${count(({ what }) => what === 'events')} clients)`,
      target: 'none left out, none twice',
      measured: `${gaps} left out, ${repeats} twice; final snapshots repeated on a new connection ${sum(({ endsAgain }) => endsAgain)}`,
      met: gaps === 0 && repeats === 0,
    },
    {
      row: 'F40',
      what: 'time from the kill until a client has its snapshot from the other replica, or is let in to continue from its cursor (its own pause included)',
      target: 'p99 below 5 s',
      measured: `p50 ${ms(percentile(back, 0.5))}, p99 ${ms(percentile(back, 0.99))}, longest ${ms(Math.max(...back))} of ${back.length}`,
      met: percentile(back, 0.99) < 5000,
    },
  ];
}
