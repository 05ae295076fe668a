/** Hundreds of subscribers read their rows anew at the same moment: few statements, and never all connections. */
import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { Job } from '../../src/domain/job.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { globalId } from '../../src/graphql/global-id.ts';
import { createRecorder, type Recorder } from '../../src/jobs/recorder.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { BareSocket, type SocketMessage, subscribe } from '../support/bare-socket.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { openShakyDatabase } from '../support/shaky-store.ts';
import { ENGINES } from '../support/temp-store.ts';
import { createTestDatabase } from '../support/test-database.ts';

const CROWD = 300;
const EACH = 50;
const WATCH = 'subscription ($id: ID!) { job(id: $id) { id status } }';
const EVENTS = 'subscription ($id: ID!) { jobEvents(id: $id) { __typename cursor } }';
const LISTED = 'subscription ($filter: JobFilter) { jobs(filter: $filter) { id status } }';
const SUBMIT = `mutation { submitJob(input: { workflow: "generateImage", inputs: { prompt: "a" } }) {
  __typename ... on SubmitJobSuccess { job { id status } } } }`;

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function start(env: Record<string, string>): Promise<TestGateway> {
  const gateway = await startGateway({ LOG_LEVEL: 'silent', ...env });
  ends.push(() => gateway.stop());
  return gateway;
}

/** Writes what no subscriber hears of. */
function unheard({ store }: TestGateway): Recorder {
  const logger = createLogger('silent');
  return createRecorder({ store, bus: new MemoryBus(), clock: systemClock, ids: randomUUID, logger });
}

function isError({ type, payload }: SocketMessage): boolean {
  return type === 'error' || (type === 'next' && (payload as { errors?: unknown }).errors !== undefined);
}

class Crowd {
  readonly #sockets: BareSocket[];

  private constructor(sockets: BareSocket[]) {
    this.#sockets = sockets;
  }

  /** Resolves when each has its first answer. */
  static async of(
    { socketUrl }: TestGateway,
    query: string,
    variables: (n: number) => object,
  ): Promise<Crowd> {
    const open = (): Promise<BareSocket> => new BareSocket(socketUrl).open();
    const crowd = new Crowd(await Promise.all(Array.from({ length: CROWD / EACH }, open)));
    ends.push(async () => {
      for (const { socket } of crowd.#sockets) socket.terminate();
    });
    crowd.#sockets.forEach((socket, index) => {
      for (let n = 0; n < EACH; n++) socket.send(subscribe(`${n}`, query, variables(index * EACH + n)));
    });
    await crowd.until(({ type }) => type === 'next');
    return crowd;
  }

  /** Each has had such a message. */
  async until(accepts: (message: SocketMessage) => boolean): Promise<void> {
    const had = (messages: readonly SocketMessage[]) =>
      new Set(messages.filter(accepts).map(({ id }) => id)).size >= EACH;
    await Promise.all(this.#sockets.map((socket) => socket.untilAll(had)));
    const errors = this.#sockets.flatMap(({ messages }) => messages.filter(isError));
    expect(errors).toEqual([]);
  }
}

async function statementsOf({ store }: TestGateway, work: () => Promise<unknown>): Promise<string[]> {
  const seen: string[] = [];
  const stop = store.onQuery((text) => seen.push(text));
  await work();
  stop();
  return seen;
}

const tells =
  (text: string) =>
  ({ payload }: SocketMessage): boolean =>
    JSON.stringify(payload ?? null).includes(text);

describe.each(ENGINES)('subscribers that are all told of a gap, on %s (F40)', (engine) => {
  async function gateway(): Promise<TestGateway> {
    if (engine === 'SQLite') return start({});
    const database = await createTestDatabase();
    ends.push(() => database.drop());
    return start({ DATABASE_URL: database.url });
  }
  const jobs = async (one: TestGateway, count: number): Promise<Job[]> => {
    const all: Job[] = [];
    for (let n = 0; n < count; n++) all.push(await one.addJob());
    return all;
  };

  it.each([
    ['one job', 1],
    ['a job each', CROWD],
  ])(
    'cost a handful of statements: %s',
    async (_which, count) => {
      const one = await gateway();
      const watched = await jobs(one, count);
      const idOf = (n: number) => ({ id: globalId('Job', watched[n % count]?.id ?? '') });
      const crowds = [await Crowd.of(one, WATCH, idOf), await Crowd.of(one, EVENTS, idOf)];
      for (const { id } of watched) await unheard(one).cancel(defaultViewer, id);
      const statements = await statementsOf(one, async () => {
        one.bus.missed();
        for (const crowd of crowds) await crowd.until(({ type }) => type === 'complete');
      });
      expect(statements.length).toBeLessThanOrEqual(10);
    },
    30_000,
  );

  it('cost a handful of statements: all jobs', async () => {
    const one = await gateway();
    const instance = await one.addInstance('gpu');
    const [running, waiting] = await jobs(one, 2);
    if (!running || !waiting) throw new Error('no jobs');
    await one.assign(running.id, instance);
    // what is waiting does not match, so that its events tell whether it did
    const crowd = await Crowd.of(one, LISTED, () => ({ filter: { status: ['PENDING', 'PROCESSING'] } }));
    // they heard the same last, whenever they came
    await crowd.until(tells(globalId('Job', (await one.addJob()).id)));
    await unheard(one).cancel(defaultViewer, waiting.id);
    const statements = await statementsOf(one, async () => {
      one.bus.missed();
      await crowd.until(tells(globalId('Job', waiting.id)));
    });
    expect(statements.length).toBeLessThanOrEqual(10);
  }, 30_000);
});

describe('a crowd that comes back to a database which is short of answers (F31, F40)', () => {
  async function behindShaky(poolMax: string) {
    const shaky = await openShakyDatabase({});
    ends.push(() => shaky.close());
    return { shaky, one: await start({ DATABASE_URL: shaky.url, DATABASE_POOL_MAX: poolMax }) };
  }

  it('leaves connections to those who ask, however many of its questions wait', async () => {
    const { shaky, one } = await behindShaky('3');
    const { id } = await one.addJob();
    await shaky.direct('begin');
    await shaky.direct('lock table jobs in access exclusive mode');
    const socket = await new BareSocket(one.socketUrl).open();
    ends.push(async () => socket.socket.terminate());
    for (let n = 1; n <= 10; n++) {
      socket.send(subscribe(`${n}`, WATCH, { id: globalId('Job', id) }));
      socket.send({ type: 'ping' });
      // in a turn of its own
      await socket.untilAll((messages) => messages.filter(({ type }) => type === 'pong').length === n);
    }
    expect(await one.query('{ instances { id } }')).toEqual({ data: { instances: [] } });
    await shaky.direct('rollback');
    await socket.untilAll((messages) => messages.filter(({ type }) => type === 'next').length === 10);
    expect(socket.messages.filter(isError)).toEqual([]);
  }, 30_000);

  it('leaves one of two connections to those who submit', async () => {
    const { shaky, one } = await behindShaky('2');
    const { id } = await one.addJob();
    await one.assign(id, await one.addInstance('gpu'));
    // thirty different questions
    const filter = (n: number) => ({ workflow: ['raw', 'generateImage', `${n % 30}`] });
    const crowd = await Crowd.of(one, LISTED, (n) => ({ filter: filter(n) }));
    const slow = shaky.proxy.add('downstream', { type: 'latency', latencyMs: 80 });
    const caughtUp = new Promise<void>((resolve) => {
      one.store.onQuery((text) => text.includes('finished_at') && resolve());
    });
    one.bus.missed();
    await caughtUp;
    const answers = await Promise.all([1, 2, 3].map(() => one.query(SUBMIT)));
    for (const { data } of answers)
      expect(data).toMatchObject({
        submitJob: { __typename: 'SubmitJobSuccess', job: { status: 'PENDING' } },
      });
    slow.remove();
    const [last] = answers as unknown as { data: { submitJob: { job: { id: string } } } }[];
    await crowd.until(tells(last?.data.submitJob.job.id ?? ''));
  }, 40_000);
});
