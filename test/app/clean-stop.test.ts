/** A leader that is stopped in order gives its lease back at once, whatever else it is in the middle of. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { startGateway } from '../support/running-gateway.ts';
import { S3_CREDENTIALS } from '../support/services/s3-server.ts';
import { createTestDatabase } from '../support/test-database.ts';

/** A bucket that answers nothing to whoever lists it, as a clean-up does. */
async function slowBucket() {
  const held: ServerResponse[] = [];
  const server = createServer((request, response) => {
    if (request.url?.includes('list-type')) held.push(response);
    else response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { held, url: `s3://files?endpoint=http://127.0.0.1:${port}` };
}

it('does not wait for a clean-up that hangs on a slow bucket, and ends it', async () => {
  Object.assign(process.env, S3_CREDENTIALS);
  const database = await createTestDatabase();
  onTestFinished(() => database.drop());
  const { held, url } = await slowBucket();
  const gateway = await startGateway({ config: { databaseUrl: database.url, storageUrl: url } });
  const rows = new pg.Client({ connectionString: database.url });
  await rows.connect();
  onTestFinished(() => rows.end());
  await eventually(() => held.length > 0, { what: 'the clean-up lists the bucket' });

  const stopped = gateway.halt();
  await eventually(async () => {
    const free = 'select 1 from leases where expires_at = 0';
    return (await rows.query(free)).rowCount === 1;
  });
  expect(held.filter(({ destroyed }) => destroyed)).toEqual([]);

  for (const response of held) response.end();
  await stopped;
}, 60_000);
