import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { portIfFree } from '../../src/cli/free-port.ts';

it('keeps a port that is free and gives up one that is taken', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(await portIfFree('127.0.0.1', port)).toBe(0);
  server.close();
  await once(server, 'close');
  expect(await portIfFree('127.0.0.1', port)).toBe(port);
});
