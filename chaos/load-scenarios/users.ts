/**
 * A hundred users at once through nginx before two API replicas: each uploads, submits, subscribes and downloads, while one
 * in a hundred connections, between the users and nginx and between nginx and the replicas, is delayed or reset. All must
 * end, each with its own picture. CHAOS_USERS, CHAOS_ROUNDS and CHAOS_BAD_PERCENT set the size.
 */
import { TestClient } from '../../test/support/graphql-client.ts';
import { ms } from '../load.ts';
import { percentile } from '../percentile.ts';
import { type Finding, randomFrom, type Scenario } from '../scenario.ts';
import { BadLuck } from './bad-luck.ts';
import { Front } from './front.ts';
import { type Journey, User } from './journey.ts';
import { type Stage, withStage } from './stage.ts';

const USERS = Number(process.env.CHAOS_USERS ?? 100);
const ROUNDS = Number(process.env.CHAOS_ROUNDS ?? 10);
const BAD_SHARE = Number(process.env.CHAOS_BAD_PERCENT ?? 1) / 100;
const SIMULATORS = 4;
/** About 200 KB as a picture that cannot be compressed. */
const SIDE = 256;
const PARTS = ['upload', 'submit', 'follow', 'download', 'whole'] as const;

export const users: Scenario = async ({ seed, say }) => {
  const random = randomFrom(seed);
  await using outside = await BadLuck.listen(BAD_SHARE, random);
  const env = { PUBLIC_URL: outside.url, TRUST_PROXY: 'loopback' };
  return await withStage({ apis: 2, schedulers: 1, simulators: SIMULATORS, env }, async (stage) => {
    const insides = await Promise.all(stage.apis.map(() => BadLuck.listen(BAD_SHARE, random)));
    try {
      await Promise.all(insides.map((luck, n) => luck.leadTo(portOf(stage, n))));
      await using front = await Front.before(insides.map(({ port }) => port));
      await outside.leadTo(front.port);
      const journeys: Journey[] = [];
      const failures: string[] = [];
      for (let round = 1; round <= ROUNDS; round += 1) {
        const startedAt = performance.now();
        await Promise.all(Array.from({ length: USERS }, () => travel(outside.url, journeys, failures)));
        say(
          `round ${round}: ${journeys.length} journeys, ${failures.length} failed, ${ms(performance.now() - startedAt)}`,
        );
      }
      return await findings(stage, { journeys, failures, outside, insides });
    } finally {
      await Promise.all(insides.map((luck) => luck[Symbol.asyncDispose]()));
    }
  });
};

function portOf({ apis }: Stage, n: number): number {
  return Number(new URL(apis[n]?.url ?? '').port);
}

async function travel(url: string, journeys: Journey[], failures: string[]): Promise<void> {
  try {
    const journey = await new User(url, SIDE).travel();
    journeys.push(journey);
    if (journey.flaw !== null) failures.push(journey.flaw);
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
  }
}

interface Seen {
  readonly journeys: readonly Journey[];
  readonly failures: readonly string[];
  readonly outside: BadLuck;
  readonly insides: readonly BadLuck[];
}

async function findings(stage: Stage, { journeys, failures, outside, insides }: Seen): Promise<Finding[]> {
  const client = new TestClient(stage.apis[0]?.url ?? '');
  const { jobs } = await client.run<{ jobs: { totalCount: number } }>('{ jobs(first: 1) { totalCount } }');
  await client.close();
  const all = USERS * ROUNDS;
  const again = journeys.reduce((sum, journey) => sum + journey.again, 0);
  const taken = insides.reduce((sum, { counts }) => sum + counts.taken, 0);
  const unlucky = insides.reduce((sum, { counts }) => sum + counts.unlucky, 0);
  const kinds = PARTS.map((part) => {
    const times = journeys.map((journey) => journey[part]);
    return `${part} ${[0.5, 0.95, 0.99].map((share) => Math.round(percentile(times, share))).join('/')}`;
  });
  return [
    {
      row: '-',
      what: `${ROUNDS} x ${USERS} users at once through nginx: upload, submit, subscribe, download`,
      target: 'all end, each with its own picture, no job twice',
      measured: `${journeys.length} of ${all} ended, ${failures.length} failures${failures[0] ? ` (${failures[0]})` : ''}, ${new Set(journeys.map(({ jobId }) => jobId)).size} different jobs, ${jobs.totalCount} in the store`,
      met: journeys.length === all && failures.length === 0 && jobs.totalCount === all,
    },
    {
      row: '-',
      what: `with ${BAD_SHARE * 100} % of connections delayed or reset`,
      target: 'stated',
      measured: `outside ${outside.counts.unlucky} of ${outside.counts.taken} connections, inside ${unlucky} of ${taken}; ${again} requests or subscriptions were sent again`,
      met: BAD_SHARE === 0 || outside.counts.unlucky > 0,
    },
    {
      row: '-',
      what: 'ms of the parts and of the whole journey, p50/p95/p99 (all programs and all users on this machine)',
      target: 'p95 stated',
      measured: kinds.join(', '),
      met: true,
    },
  ];
}
