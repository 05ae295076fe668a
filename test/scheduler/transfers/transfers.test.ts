/** Outputs over real sockets that are slow, cut, silent or gone. */
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ComfyHttp } from '../../../src/comfyui/http.ts';
import { HttpTransport } from '../../../src/comfyui/http-transport.ts';
import { type Config, parseConfig } from '../../../src/config.ts';
import type { NewOutput } from '../../../src/jobs/output-writer.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { OutputCollector } from '../../../src/scheduler/transfers/outputs.ts';
import { TransferGate } from '../../../src/scheduler/transfers/transfer-gate.ts';
import { DiskStore } from '../../../src/storage/disk-store.ts';
import { eventually } from '../../support/eventually.ts';
import { FullStorage } from '../../support/full-storage.ts';
import { hurriedClock } from '../../support/hurried-clock.ts';
import { TcpChaos } from '../../support/tcp-chaos.ts';

const FILE = randomBytes(40_000);
const IMAGE = { images: [{ filename: 'x.bin', subfolder: '', type: 'output' }] };

let folder: string;
let storage: FullStorage;
let server: Server;
let proxy: TcpChaos;
let transport: HttpTransport;
let views: number;
let answer: (response: ServerResponse) => void;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'transfers-'));
  storage = new FullStorage(new DiskStore({ root: folder, clock: systemClock }));
  await storage.start();
  views = 0;
  answer = (response) => response.setHeader('content-length', FILE.length).end(FILE);
  server = createServer((request, response) => {
    if (!request.url?.startsWith('/view')) return response.end('{"exec_info":{"queue_remaining":0}}');
    views++;
    answer(response);
    return response;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await TcpChaos.to((server.address() as AddressInfo).port);
  transport = new HttpTransport({ url: proxy.url, clock: systemClock });
  await transport.start();
});

afterEach(async () => {
  await transport.stop();
  await proxy.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  // whatever happened: nothing half-written stays
  expect(await readdir(join(folder, 'staging'))).toEqual([]);
  await rm(folder, { recursive: true, force: true });
});

function collector(config: Partial<Config> = {}) {
  const recorded: NewOutput[] = [];
  const outputs = new OutputCollector(
    {
      http: new ComfyHttp(transport),
      storage,
      recorder: {
        output: async (attemptId, _term, output) => {
          recorded.push(output);
          return { ...output, id: randomUUID(), jobId: 'j', attemptId, tenant: 't', createdAt: 0 };
        },
      },
      clock: hurriedClock(50),
      logger: createLogger('silent'),
      transfers: new TransferGate({ perInstance: 4, overall: 32 }),
      config: { ...parseConfig({}), probeTimeoutMs: 5000, ...config },
    },
    { attemptId: 'a', instanceId: 'i', tenant: 't', term: 1, known: [], onOutput: () => undefined },
    new AbortController().signal,
  );
  return { outputs, recorded };
}

/** The whole file or nothing was published. */
async function published(): Promise<Buffer[]> {
  const names = await readdir(join(folder, 'blobs'), { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile());
  return Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name))));
}

describe('fetching outputs over a bad network', () => {
  it('never publishes a short file, wherever the connection is cut, and has it on the next try (F28, F6)', async () => {
    const offsets = [0, 1, 17, 60, 100, 150, 200, 1000, 16_384, 39_000, 40_000, 40_100];
    for (const bytes of offsets) {
      const { outputs, recorded } = collector();
      const cut = proxy.add('downstream', { type: 'limit_data', bytes });
      const before = proxy.accepted;
      outputs.take('1', '1', IMAGE);
      await eventually(() => proxy.accepted > before || recorded.length > 0);
      cut.remove();
      expect(await outputs.settled(), `cut after ${bytes}`).toBeNull();
      expect(recorded).toMatchObject([{ bytes: FILE.length }]);
      for (const file of await published()) expect(file.equals(FILE)).toBe(true);
    }
  });

  it('ends as unavailable when it is cut every time (F28)', async () => {
    answer = (response) => {
      response.setHeader('content-length', FILE.length);
      response.write(FILE.subarray(0, 30_000), () => response.destroy());
    };
    const { outputs, recorded } = collector();
    outputs.take('1', '1', IMAGE);
    expect(await outputs.settled()).toMatchObject({ code: 'OUTPUT_UNAVAILABLE', retryable: true });
    expect([views, recorded.length]).toEqual([3, 0]);
    expect(await published()).toEqual([]);
  });

  it('gives up a body that trickles (F27)', async () => {
    const trickling = new Set<NodeJS.Timeout>();
    answer = (response) => {
      response.setHeader('content-length', FILE.length);
      const timer = setInterval(() => response.write(FILE.subarray(0, 10)), 20);
      trickling.add(timer);
      response.on('close', () => clearInterval(timer));
    };
    const { outputs } = collector();
    outputs.take('1', '1', IMAGE);
    expect(await outputs.settled()).toMatchObject({ code: 'OUTPUT_UNAVAILABLE' });
    expect(views).toBe(3);
    expect(await published()).toEqual([]);
    for (const timer of trickling) clearInterval(timer);
  });

  it('ends a body that never ends at the bound for one file (F27)', async () => {
    answer = (response) => {
      const more = (): void => {
        if (!response.destroyed) response.write(FILE, more);
      };
      more();
    };
    const { outputs } = collector({ maxOutputBytes: 3_000_000 });
    outputs.take('1', '1', IMAGE);
    expect(await outputs.settled()).toMatchObject({ code: 'OUTPUT_TOO_LARGE' });
    expect(views).toBe(1);
    expect(await published()).toEqual([]);
  });

  it('is whole after a slow, sliced and late arrival', async () => {
    proxy.add('downstream', { type: 'slicer', averageSize: 4000, sizeVariation: 3000, delayMs: 2 });
    proxy.add('downstream', { type: 'latency', latencyMs: 20, jitterMs: 10 });
    const { outputs, recorded } = collector({ minTransferRate: 1 });
    outputs.take('1', '1', IMAGE);
    expect(await outputs.settled()).toBeNull();
    expect(recorded).toHaveLength(1);
    expect((await published())[0]?.equals(FILE)).toBe(true);
  });

  it('goes on when an instance that went away comes back (F12)', async () => {
    await proxy.down();
    const { outputs, recorded } = collector({ refusedLostMs: 600_000 });
    outputs.take('1', '1', IMAGE);
    outputs.take('2', '2', IMAGE);
    await eventually(() => outputs.isWaitingForInstance);
    await proxy.up();
    expect(await outputs.settled()).toBeNull();
    expect(recorded).toHaveLength(2);
  });

  it('is lost with an instance that stays away, or that comes back without the file (F12)', async () => {
    await proxy.down();
    const away = collector();
    away.outputs.take('1', '1', IMAGE);
    expect(await away.outputs.settled()).toMatchObject({ code: 'INSTANCE_LOST' });

    answer = (response) => response.writeHead(404).end();
    const back = collector({ refusedLostMs: 600_000 });
    back.outputs.take('1', '1', IMAGE);
    await eventually(() => back.outputs.isWaitingForInstance);
    await proxy.up();
    expect(await back.outputs.settled()).toMatchObject({ code: 'INSTANCE_LOST' });

    const missing = collector();
    missing.outputs.take('1', '1', IMAGE);
    expect(await missing.outputs.settled()).toMatchObject({ code: 'OUTPUT_UNAVAILABLE' });
    expect(await published()).toEqual([]);
  });

  it.each(['none', 'broken', 'away'] as const)(
    'waits for room while that is %s, and does not count it as a try (F35)',
    async (room) => {
      storage.room = room;
      const { outputs, recorded } = collector();
      outputs.take('1', '1', IMAGE);
      outputs.takePicture('2', 'image/png', FILE);
      await eventually(() => storage.refused >= 6);
      expect(recorded).toEqual([]);
      storage.room = 'enough';
      expect(await outputs.settled()).toBeNull();
      expect(recorded).toHaveLength(2);
    },
  );

  it('gives up on full storage when patience is at its end, and at once when closed (F35)', async () => {
    storage.room = 'none';
    const short = collector({ storageFullPatienceMs: 5000 });
    short.outputs.take('1', '1', IMAGE);
    expect(await short.outputs.settled()).toMatchObject({
      code: 'OUTPUT_UNAVAILABLE',
      message: 'there is no space left to store an output file',
      retryable: true,
    });
    const closed = collector();
    closed.outputs.take('1', '1', IMAGE);
    await eventually(() => storage.refused >= 4);
    await closed.outputs.close();
    expect(await published()).toEqual([]);
  });

  it('leaves nothing of a file that is on its way when it is closed', async () => {
    proxy.add('downstream', { type: 'bandwidth', bytesPerSecond: 2000 });
    const { outputs, recorded } = collector({ minTransferRate: 1 });
    outputs.take('1', '1', IMAGE);
    await eventually(() => views === 1);
    await outputs.close();
    expect(recorded).toEqual([]);
    expect(await published()).toEqual([]);
  });
});
