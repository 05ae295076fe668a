/**
 * Before all tests: a Postgres and a Redis, those of DATABASE_URL and REDIS_URL or ones of this run's own, which end with it.
 * Workers find them in their environment. What single tests need beside them is installed here too, as that takes longer
 * than a test may.
 */
import { PostgresServer } from './postgres-server.ts';
import { findPrograms, thisMachine } from './programs.ts';
import { RedisServer } from './redis-server.ts';
import type { Server } from './server.ts';
import { POSTGRES, REDIS, WANTED } from './wanted.ts';

const SERVERS = [
  { variable: 'DATABASE_URL', program: POSTGRES, create: () => PostgresServer.create() },
  { variable: 'REDIS_URL', program: REDIS, create: () => RedisServer.create() },
];

const started: Server[] = [];

/** @throws with what to do where one of them cannot be had: no test is skipped. */
export async function setup(): Promise<void> {
  const own = SERVERS.filter(({ variable }) => !process.env[variable]);
  try {
    await findPrograms(WANTED);
  } catch (error) {
    // Once more without installing: the others are missed by the tests that need them, and say so there.
    await findPrograms(
      own.map(({ program }) => program),
      { ...thisMachine(), install: undefined },
    );
    console.warn((error as Error).message);
  }
  try {
    await Promise.all(own.map(provide));
  } catch (error) {
    await teardown();
    throw error;
  }
}

export async function teardown(): Promise<void> {
  await Promise.all(started.map((server) => server.dispose()));
}

async function provide({ variable, create }: (typeof SERVERS)[number]): Promise<void> {
  const server = await create();
  started.push(server);
  await server.start();
  process.env[variable] = server.url;
}
