/**
 * Jobs of known outcomes and durations go through a fleet whose leader is killed half-way and whose instances crash now and
 * then; when all is over, every figure is held against what clients were told and what the instances wrote down.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { inLanes } from '../load.ts';
import { PatientClient } from '../patient-client.ts';
import type { SimulatorProgram } from '../processes.ts';
import { type Comparison, isMet, lineOf } from './compare.ts';
import { compareFleet, compareRows, compareScraped } from './comparisons.ts';
import { Figures, scrape } from './figures.ts';
import { type Order, OUTCOMES, place, planOrders } from './orders.ts';
import { lastAttempt, readTruth, type Truth } from './truth.ts';

export interface NumbersSize {
  readonly jobs: number;
  /** What the longest job sleeps. */
  readonly longestSeconds: number;
  /** Crashes of instances, spread over the round. */
  readonly crashes: number;
}

export interface NumbersScene {
  /** Where clients ask. */
  readonly urls: readonly string[];
  /** Where the process that leads may tell of the fleet. */
  readonly scrapeUrls: readonly string[];
  readonly instances: readonly SimulatorProgram[];
  /** Kill -9; resolves when a successor serves. */
  readonly killLeader: () => Promise<void>;
}

export interface NumbersResult {
  readonly truth: Truth;
  readonly comparisons: readonly Comparison[];
  /** Jobs that did not end as they were ordered, or that nobody ordered. */
  readonly strange: readonly string[];
}

const LANES = 8;
const MOST_WAITING = 60;
const CALM_WITHIN_MS = 120_000;

export async function numbersRound(
  scene: NumbersScene,
  size: NumbersSize,
  { random, say }: { readonly random: () => number; readonly say: (line: string) => void },
): Promise<NumbersResult> {
  const from = Date.now() - 60_000;
  const over = new AbortController();
  const client = new PatientClient(scene.urls, over.signal);
  try {
    const orders = planOrders(size.jobs, random, size.longestSeconds);
    const ids = await submitAll(scene, size, orders, { client, random, say });
    const truth = await untilCalm(client, scene);
    const figures = new Figures(client, from);
    await untilPersisted(figures, Date.now());
    const scraped = await scrape(scene.scrapeUrls);
    const comparisons = [
      ...(await compareRows(truth, figures)),
      ...compareFleet(truth, await figures.fleet()),
      ...(scraped ? compareScraped(truth, scraped) : []),
    ];
    for (const line of comparisons.map(lineOf)) say(line);
    if (!scraped) throw new Error('nobody tells Prometheus of the fleet');
    say(`${comparisons.filter(isMet).length} of ${comparisons.length} figures are the truth`);
    return { truth, comparisons, strange: strangeOf(truth, orders, ids) };
  } finally {
    over.abort();
  }
}

interface Hands {
  readonly client: PatientClient;
  readonly random: () => number;
  readonly say: (line: string) => void;
}

/** Ids in the order of the orders. */
async function submitAll(
  scene: NumbersScene,
  { jobs, crashes }: NumbersSize,
  orders: readonly Order[],
  { client, random, say }: Hands,
): Promise<Map<string, Order>> {
  const ids = new Map<string, Order>();
  const half = Math.floor(jobs / 2);
  const crashAt = new Set(
    Array.from({ length: crashes }, (_, n) => Math.floor(((n + 0.5) / crashes) * jobs)),
  );
  const disturbances: Promise<void>[] = [];
  await inLanes(jobs, LANES, async (n) => {
    await untilRoom(client);
    if (n === half) disturbances.push(scene.killLeader().then(() => say('the leader was killed')));
    if (crashAt.has(n)) {
      const victim = scene.instances[Math.floor(random() * scene.instances.length)] as SimulatorProgram;
      disturbances.push(crash(victim).then(() => say(`${victim.name} crashed`)));
    }
    const order = orders[n] as Order;
    ids.set(await place(client, order), order);
  });
  await Promise.all(disturbances);
  return ids;
}

async function crash(instance: SimulatorProgram): Promise<void> {
  if ((await instance.end('SIGKILL')) !== null) await instance.start();
}

async function untilRoom(client: PatientClient): Promise<void> {
  for (;;) {
    const { queue } = await client.run<{ queue: { pending: number } }>('{ queue { pending } }');
    if (queue.pending < MOST_WAITING) return;
    await sleep(50);
  }
}

const WHY = `{ queue { pending processing } instances { name health breaker lastError }
  jobs(first: 5, filter: { status: [PENDING, PROCESSING] }) {
    edges { node { status queue { blockedBy } attempts { instanceName outcome error { code } } } } } }`;

/** Every job has ended, and every attempt. */
async function untilCalm(client: PatientClient, { instances }: NumbersScene): Promise<Truth> {
  const deadline = performance.now() + CALM_WITHIN_MS;
  for (;;) {
    const { queue } = await client.run<{ queue: { pending: number; processing: number } }>(
      '{ queue { pending processing } }',
    );
    if (queue.pending + queue.processing === 0) {
      const truth = await readTruth(client, instances);
      if (truth.jobs.every(({ attempts }) => attempts.every(({ outcome }) => outcome !== null))) return truth;
    }
    if (performance.now() > deadline)
      throw new Error(`it does not become calm: ${JSON.stringify(await client.run(WHY))}`);
    await sleep(200);
  }
}

async function untilPersisted(figures: Figures, at: number): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (Date.parse((await figures.fleet()).metrics.persistedAt ?? '') < at) {
    if (performance.now() > deadline) throw new Error('the figures do not become complete');
    await sleep(100);
  }
}

function strangeOf(truth: Truth, orders: readonly Order[], ids: ReadonlyMap<string, Order>): string[] {
  const strange: string[] = [];
  if (truth.jobs.length !== orders.length)
    strange.push(`${truth.jobs.length} jobs of ${orders.length} that were ordered`);
  for (const job of truth.jobs) {
    const order = ids.get(job.id);
    const outcome = [job.status, ...(job.error ? [job.error.code] : [])].join(' ');
    const expected: readonly string[] = order ? OUTCOMES[order.kind] : [];
    if (!expected.includes(outcome)) strange.push(`${job.id}: ${order?.kind} became ${outcome}`);
    const run = truth.runs.get(lastAttempt(job)?.promptId ?? '');
    if (job.status === 'COMPLETED' && run?.outcome !== 'success')
      strange.push(`${job.id}: COMPLETED, and its instance says ${run?.outcome}`);
  }
  return strange;
}
