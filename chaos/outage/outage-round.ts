/**
 * A fleet works at its usual pace; then all its instances are gone at once, with work in them, while clients go on
 * submitting at that pace; then they come back together to the queue that has grown.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { TestClient } from '../../test/support/graphql-client.ts';
import { sleepGraph } from '../../test/support/graphs.ts';
import type { Env } from '../environment.ts';
import { GatewayProbe, type Look } from '../gateway-probe.ts';
import { type Aftermath, aftermath, bareId, queueLength, startAll, submit, untilIdle } from '../load.ts';
import type { GatewayProgram, Ground, SimulatorProgram } from '../processes.ts';
import type { Phase } from './usage.ts';

export interface OutageSize {
  readonly instances: number;
  /** Jobs of the time before. */
  readonly steadyJobs: number;
  /** Jobs that come while nothing is there. */
  readonly jobs: number;
  readonly outageMs: number;
  readonly jobSeconds: number;
}

export interface OutageSetting {
  readonly ground: Ground;
  readonly size: OutageSize;
  readonly say: (line: string) => void;
  /** Of the gateway. */
  readonly env: Env;
}

/** Why jobs at the front wait, as they were told. */
export interface Told {
  readonly at: number;
  readonly reasons: readonly (string | null)[];
}

export interface OutageRound extends Aftermath {
  readonly steady: Phase;
  readonly down: Phase;
  readonly back: Phase;
  readonly acknowledged: readonly string[];
  /** Attempts that were open when the instances went away. */
  readonly inFlight: number;
  readonly told: readonly Told[];
  readonly looks: readonly Look[];
  /** Of the instances. */
  readonly ports: readonly string[];
}

/** Jobs of the time before that wait or run for each instance. */
const KEPT_BUSY = 4;
const WARM_UP = 0.2;
const LOOK_MS = 500;

export async function outageRound({ ground, size, say, env }: OutageSetting): Promise<OutageRound> {
  const simulators = await Promise.all(
    Array.from({ length: size.instances }, (_, n) => ground.simulator(`gpu${n + 1}`)),
  );
  const probe = await GatewayProbe.on(ground, LOOK_MS, true);
  const gateway = await ground.gateway(simulators, { LOG_LEVEL: 'warn', ...env, ...probe.env });
  await startAll([...simulators, gateway]);
  const client = new TestClient(gateway.url);
  const clients = new Clients(client, size);
  const steady = await steadyPhase(clients, say);
  const perSecond = (size.steadyJobs * (1 - WARM_UP)) / ((steady.to - steady.from) / 1000);
  say(`steady: ${size.steadyJobs} jobs, ${perSecond.toFixed(1)} a second`);
  // so that each goes down with work in it
  await clients.topUp();
  const { processing: inFlight } = await queueLength(client);
  const down = { from: Date.now(), to: Date.now() + size.outageMs };
  await Promise.all(simulators.map((one) => one.end('SIGKILL')));
  say(`all ${size.instances} instances are gone, ${inFlight} jobs ran there`);
  const told = await whileDown(clients, { down, perSecond, say });
  await startAll(simulators);
  const back = Date.now();
  say(
    `they are back after ${Math.round((back - down.from) / 1000)} s, ${JSON.stringify(await queueLength(client))}`,
  );
  await untilIdle(client, { withinMs: 600_000, say });
  const phases = { steady, down: { ...down, to: back }, back: { from: back, to: Date.now() } };
  await client.close();
  const looks = probe.looks();
  const rest = await end(gateway, simulators, clients, env);
  const ports = simulators.map(({ url }) => new URL(url).port);
  return { ...rest, ...phases, acknowledged: clients.acknowledged, inFlight, told, looks, ports };
}

function end(
  gateway: GatewayProgram,
  simulators: readonly SimulatorProgram[],
  { acknowledged }: Clients,
  { DATABASE_URL }: Env,
): Promise<Aftermath> {
  return aftermath(gateway, simulators, { acknowledged }, DATABASE_URL);
}

/** After a while in which everything is loaded for the first time. */
async function steadyPhase(clients: Clients, say: (line: string) => void): Promise<Phase> {
  const { size, client } = clients;
  let from = Date.now();
  let warm = false;
  while (clients.acknowledged.length < size.steadyJobs) {
    await clients.topUp();
    if (!warm && clients.acknowledged.length >= size.steadyJobs * WARM_UP) {
      from = Date.now();
      warm = true;
    }
    await sleep(100);
  }
  const to = Date.now();
  await untilIdle(client, { withinMs: 120_000, say });
  return { from, to };
}

interface DownSetting {
  readonly down: Phase;
  readonly perSecond: number;
  readonly say: (line: string) => void;
}

async function whileDown(clients: Clients, { down, perSecond, say }: DownSetting): Promise<Told[]> {
  const { client, size } = clients;
  const before = clients.acknowledged.length;
  const told: Told[] = [];
  const tellMs = Math.min(5000, size.outageMs / 10);
  for (let n = 0; Date.now() < down.to || clients.acknowledged.length < before + size.jobs; n++) {
    const due = Math.min(size.jobs, Math.ceil(((Date.now() - down.from) / 1000) * perSecond));
    while (clients.acknowledged.length < before + due) await clients.submitOne();
    // as often as in the other phases
    await queueLength(client);
    if (Date.now() - (told.at(-1)?.at ?? 0) >= tellMs) told.push(await reasonsNow(client));
    if (n % 600 === 599)
      say(`down for ${Math.round((Date.now() - down.from) / 1000)} s, ${told.at(-1)?.reasons[0]}`);
    await sleep(100);
  }
  return told;
}

const WAITING = '{ jobs(first: 20, filter: { status: [PENDING] }) { nodes { queue { blockedBy } } } }';

async function reasonsNow(client: TestClient): Promise<Told> {
  interface Waiting {
    readonly jobs: {
      readonly nodes: readonly { readonly queue: { readonly blockedBy: string | null } | null }[];
    };
  }
  const at = Date.now();
  const { jobs } = await client.run<Waiting>(WAITING);
  return { at, reasons: jobs.nodes.flatMap(({ queue }) => (queue ? [queue.blockedBy] : [])) };
}

class Clients {
  readonly acknowledged: string[] = [];
  readonly client: TestClient;
  readonly size: OutageSize;

  constructor(client: TestClient, size: OutageSize) {
    this.client = client;
    this.size = size;
  }

  async submitOne(): Promise<void> {
    const salt = this.acknowledged.length;
    const graph = sleepGraph({ seconds: this.size.jobSeconds, steps: 2, salt });
    this.acknowledged.push(bareId(await submit(this.client, graph)));
  }

  /** Until each instance has enough to do. */
  async topUp(): Promise<void> {
    const { pending, processing } = await queueLength(this.client);
    for (let n = pending + processing; n < KEPT_BUSY * this.size.instances; n++) await this.submitOne();
  }
}
