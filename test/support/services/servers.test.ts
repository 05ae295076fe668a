import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { eventually } from '../eventually.ts';
import { PostgresServer } from './postgres-server.ts';
import { RedisServer } from './redis-server.ts';

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

it('gives a Postgres that comes back where it was, with what it had, however it went', async () => {
  const server = await PostgresServer.create();
  onTestFinished(() => server.dispose());
  await server.start();
  await query(server.url, 'create table acorns as select 7 as n');
  await server.restart('fast');
  await server.restart('immediate');
  await server.kill();
  expect(await server.answers()).toBe(false);
  await server.start();
  expect(await query(server.url, 'select n from acorns')).toEqual([{ n: 7 }]);
}, 60_000);

it('stops the time of a whole Postgres, its open connections too', async () => {
  const server = await PostgresServer.create();
  onTestFinished(() => server.dispose());
  await server.start();
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  onTestFinished(() => client.end());
  await server.pause();
  const answer = client.query('select 1');
  expect(await server.answers()).toBe(false);
  await server.resume();
  expect((await answer).rowCount).toBe(1);
}, 60_000);

it('gives a Redis that is killed, comes back and is emptied', async () => {
  const server = await RedisServer.create();
  onTestFinished(() => server.dispose());
  await server.start();
  await server.flushAll();
  await server.kill();
  expect(await server.answers()).toBe(false);
  await server.start();
  await server.restart();
  expect(await server.answers()).toBe(true);
});

it('leaves no server behind when the process that started it is killed', async () => {
  const program = `import { RedisServer } from ${JSON.stringify(new URL('redis-server.ts', import.meta.url).href)};
    const server = await RedisServer.create();
    await server.start();
    console.log(server.url);
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(new URL(line.toString().trim()).port);
  const folder = redisFolders().find((one) => logOf(one).includes(`port=${port}`));
  expect(folder).toBeDefined();
  child.kill('SIGKILL');
  await eventually(() => !existsSync(folder ?? ''), { what: 'its folder is gone' });
  const socket = createConnection(port, '127.0.0.1');
  const [refusal] = await once(socket, 'error');
  expect(refusal).toMatchObject({ code: 'ECONNREFUSED' });
});

function redisFolders(): string[] {
  const names = readdirSync(tmpdir()).filter((name) => name.startsWith('comfyfleet-redis-'));
  return names.map((name) => join(tmpdir(), name));
}

/** Others come and go meanwhile. */
function logOf(folder: string): string {
  const log = join(folder, 'server.log');
  return existsSync(log) ? readFileSync(log, 'utf8') : '';
}
