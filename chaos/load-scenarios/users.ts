/**
 * A hundred users at once through nginx before two API replicas: each uploads, submits, subscribes and downloads, while one
 * in a hundred connections, between the users and nginx and between nginx and the replicas, is delayed or reset. All must
 * end, each with its own picture. CHAOS_USERS, CHAOS_ROUNDS and CHAOS_BAD_PERCENT set the size.
 */
import { ReverseProxy } from '../../test/deploy/proxy.ts';
import { TestClient } from '../../test/support/graphql-client.ts';
import { ms } from '../load.ts';
import { percentile } from '../percentile.ts';
import { freePort } from '../ports.ts';
import { type Finding, randomFrom, type Scenario } from '../scenario.ts';
import { BadLuck } from './bad-luck.ts';
import { type Journey, User } from './journey.ts';
import { type Stage, withStage } from './stage.ts';

const USERS = Number(process.env.CHAOS_USERS ?? 100);
const ROUNDS = Number(process.env.CHAOS_ROUNDS ?? 10);
const BAD_SHARE = Number(process.env.CHAOS_BAD_PERCENT ?? 1) / 100;
const SIMULATORS = 4;
/** About 200 KB as a picture that cannot be compressed. */
const SIDE = 256;
const PARTS = ['upload', 'submit', 'follow', 'download', 'whole'] as const;

interface Travels {
  readonly journeys: readonly Journey[];
  /** What went wrong, a line each. */
  readonly failures: readonly string[];
}

export const users: Scenario = async ({ seed, say }) => {
  const random = randomFrom(seed);
  await using outside = await BadLuck.listen(BAD_SHARE, random);
  const env = { PUBLIC_URL: outside.url, TRUST_PROXY: '1' };
  return await withStage({ apis: 2, schedulers: 1, simulators: SIMULATORS, env }, async (stage) => {
    const insides = await Promise.all(stage.apis.map(() => BadLuck.listen(BAD_SHARE, random)));
    const proxy = await ReverseProxy.create(await freePort(), (place) => placeOf(place, insides));
    try {
      await Promise.all(insides.map((luck, n) => luck.leadTo(portOf(stage.apis[n]))));
      await proxy.start();
      await outside.leadTo(portOf(proxy));
      return await findings(stage, await allTravel(outside, say), outside, insides);
    } finally {
      await proxy.dispose();
      await Promise.all(insides.map((luck) => luck[Symbol.asyncDispose]()));
    }
  });
};

/** Where api-1:4000 and api-2:4000 of the deployment are here. */
function placeOf(place: string, insides: readonly BadLuck[]): string {
  const n = Number(/\d/.exec(place)?.[0]) - 1;
  return `127.0.0.1:${insides[n % insides.length]?.port}`;
}

function portOf(program: { readonly url: string } | undefined): number {
  return Number(new URL(program?.url ?? '').port);
}

async function allTravel({ url }: BadLuck, say: (line: string) => void): Promise<Travels> {
  const journeys: Journey[] = [];
  const failures: string[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: USERS }, () => travel(url, journeys, failures)));
    const took = ms(performance.now() - startedAt);
    say(`round ${round}: ${journeys.length} journeys ended, ${failures.length} failures, ${took}`);
  }
  return { journeys, failures };
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

async function findings(
  stage: Stage,
  { journeys, failures }: Travels,
  outside: BadLuck,
  insides: readonly BadLuck[],
): Promise<Finding[]> {
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
