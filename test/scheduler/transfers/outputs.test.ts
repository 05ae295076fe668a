import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ComfyHttp } from '../../../src/comfyui/http.ts';
import { type Config, parseConfig } from '../../../src/config.ts';
import type { Output } from '../../../src/domain/output.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { RUN_LIMITS } from '../../../src/scheduler/transfers/output-budget.ts';
import { OutputCollector, type OutputParts } from '../../../src/scheduler/transfers/outputs.ts';
import { TransferGate } from '../../../src/scheduler/transfers/transfer-gate.ts';
import { DiskStore } from '../../../src/storage/disk-store.ts';

type View = ComfyHttp['view'];

let folder = '';
let storage: DiskStore;
let png: Buffer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'collector-'));
  storage = new DiskStore({ root: folder, clock: systemClock });
  await storage.start();
  png = await sharp({ create: { width: 30, height: 20, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
});

afterEach(async () => {
  await storage.stop();
  await rm(folder, { recursive: true, force: true });
});

function body(bytes: Buffer, announced = bytes.length): Awaited<ReturnType<View>> {
  const stream = Readable.from([bytes]);
  return { ok: true, status: 200, contentType: 'image/png', contentLength: announced, body: stream };
}

/** A collector over the given answers of /view, in turn; the last is repeated. */
function collector(
  answers: readonly (() => Awaited<ReturnType<View>>)[],
  known: Output[] = [],
  config: Partial<Config> = {},
) {
  const recorded: Omit<Output, 'id' | 'jobId' | 'attemptId' | 'tenant' | 'createdAt'>[] = [];
  let asked = 0;
  const parts: OutputParts = {
    http: {
      view: async () => (answers[Math.min(asked++, answers.length - 1)] as () => Awaited<ReturnType<View>>)(),
      getPromptCount: async () => ({ ok: true, value: 0 }),
    },
    storage,
    recorder: {
      output: async (attemptId, _term, output) => {
        recorded.push(output);
        return { ...output, id: randomUUID(), jobId: 'j', attemptId, tenant: 't', createdAt: 0 };
      },
    },
    clock: systemClock,
    logger: createLogger('silent'),
    transfers: new TransferGate({ perInstance: 4, overall: 32 }),
    config: { ...parseConfig({}), maxOutputBytes: 1e6, ...config },
  };
  const subject = { attemptId: 'a', instanceId: 'i', tenant: 't', term: 1, known, onOutput: () => undefined };
  const outputs = new OutputCollector(parts, subject, new AbortController().signal);
  return { outputs, recorded, asked: () => asked };
}

const image = { images: [{ filename: 'x.png', subfolder: '', type: 'output' }] };

describe('collecting outputs', () => {
  it('takes each place once, though "executed" and history both name it', async () => {
    const { outputs, recorded, asked } = collector([() => body(png)]);
    outputs.take('2', '2', image);
    outputs.take('2', '2', image);
    expect(await outputs.settled()).toBeNull();
    outputs.take('2', '2', image);
    expect(await outputs.settled()).toBeNull();
    expect(asked()).toBe(1);
    expect(recorded).toMatchObject([{ node: '2', ordinal: 0, kind: 'image', width: 30, height: 20 }]);
    expect(outputs.count).toBe(1);
  });

  it('tries again when a body is cut, shorter than announced, or a picture that ends early', async () => {
    for (const bad of [
      () => body(png.subarray(0, 40)),
      () => body(png, png.length + 5),
      (): Awaited<ReturnType<View>> => ({ ok: false, reason: 'reset', message: 'ECONNRESET' }),
    ]) {
      const { outputs, recorded, asked } = collector([bad, bad, () => body(png)]);
      outputs.take('2', '2', image);
      expect(await outputs.settled()).toBeNull();
      expect(asked()).toBe(3);
      expect(recorded).toHaveLength(1);
    }
  });

  it('gives up after three tries and records nothing', async () => {
    const { outputs, recorded, asked } = collector([() => body(png, png.length + 5)]);
    outputs.take('2', '2', image);
    expect(await outputs.settled()).toMatchObject({ code: 'OUTPUT_UNAVAILABLE', nodeId: '2' });
    expect(asked()).toBe(3);
    expect(recorded).toEqual([]);
  });

  it('does not fetch what an earlier process has recorded', async () => {
    const known = [{ node: '2', ordinal: 0 } as Output];
    const { outputs, asked } = collector([() => body(png)], known);
    outputs.take('2', '2', image);
    expect(await outputs.settled()).toBeNull();
    expect(asked()).toBe(0);
    expect(outputs.count).toBe(1);
  });

  it('keeps outputs of nodes made at run time apart from those of the node they are shown under', async () => {
    const { outputs, recorded } = collector([() => body(png)]);
    outputs.take('2', '2', image);
    outputs.take('2.0.0.1', '2', image);
    outputs.take('2.0.0.2', '2', image);
    expect(await outputs.settled()).toBeNull();
    expect(recorded.map((output) => output.node)).toEqual(['2', '2', '2']);
    expect(new Set(recorded.map((output) => output.ordinal)).size).toBe(3);
  });

  it('decides the type by the bytes, never by what the instance says', async () => {
    const { outputs, recorded } = collector([() => body(Buffer.from('<html><script>1</script></html>'))]);
    outputs.take('2', '2', image);
    expect(await outputs.settled()).toBeNull();
    expect(recorded).toMatchObject([{ kind: 'file', mimeType: 'application/octet-stream' }]);
  });

  it('tries what failed again when history names it, and not a third time', async () => {
    const cut = () => body(png, png.length + 5);
    const { outputs, recorded, asked } = collector([cut, cut, cut, () => body(png)]);
    outputs.take('2', '2', image);
    expect(await outputs.settled()).toMatchObject({ code: 'OUTPUT_UNAVAILABLE' });
    outputs.take('2', '2', image);
    expect(await outputs.settled()).toBeNull();
    expect([asked(), recorded.length]).toEqual([4, 1]);
  });

  it('notices a picture that ends early also where its length was not announced (F28)', async () => {
    const noisy = await sharp(Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, n) => (n * 7919) % 251)), {
      raw: { width: 64, height: 64, channels: 3 },
    })
      .png()
      .toBuffer();
    const unannounced = (bytes: Buffer) => () =>
      ({ ...body(bytes), contentLength: null }) as ReturnType<typeof body>;
    const short = unannounced(noisy.subarray(0, noisy.length - 40));
    const { outputs, recorded, asked } = collector([short, unannounced(noisy)]);
    outputs.take('2', '2', image);
    expect(await outputs.settled()).toBeNull();
    expect(asked()).toBe(2);
    expect(recorded).toMatchObject([{ bytes: noisy.length, width: 64 }]);
  });

  it('fetches a file that is larger than allowed once, and says so (F27)', async () => {
    const large = collector([() => body(png)], [], { maxOutputBytes: 50 });
    large.outputs.take('2', '2', image);
    expect(await large.outputs.settled()).toMatchObject({
      code: 'OUTPUT_TOO_LARGE',
      message: 'an output file is larger than 50 bytes',
      retryable: false,
    });
    expect(large.asked()).toBe(1);
  });

  it('bounds the bytes of all files of a job together, those of an earlier process included (F27)', async () => {
    const endless = (): Awaited<ReturnType<View>> => {
      const forever = (async function* () {
        for (;;) yield Buffer.alloc(1000);
      })();
      return { ok: true, status: 200, contentType: 'x/y', contentLength: null, body: Readable.from(forever) };
    };
    const known = [{ node: '2', ordinal: 7, bytes: 5000 } as Output];
    const { outputs, recorded } = collector([() => body(png), endless], known, { maxJobOutputBytes: 20_000 });
    outputs.take('2', '2', image);
    expect(await outputs.settled()).toBeNull();
    outputs.take('3', '3', image);
    expect(await outputs.settled()).toMatchObject({ code: 'OUTPUT_TOO_LARGE' });
    expect(recorded).toHaveLength(1);
    expect(await readdir(join(folder, 'staging'))).toEqual([]);
  });

  it('refuses a history with a hundred thousand files', async () => {
    const { outputs, asked } = collector([() => body(png)]);
    const many = Array.from({ length: 100_000 }, (_, n) => ({
      filename: `${n}.png`,
      subfolder: '',
      type: 'output',
    }));
    outputs.take('2', '2', { images: many });
    expect(await outputs.settled()).toMatchObject({ code: 'OUTPUT_TOO_LARGE', nodeId: '2' });
    expect(asked()).toBeLessThanOrEqual(4);
  });

  it('bounds texts, and pictures that wait in memory', async () => {
    const texts = collector([() => body(png)]);
    const text = 'x'.repeat(256 * 1024);
    texts.outputs.take('2', '2', { text: Array.from({ length: 65 }, () => text) });
    expect(await texts.outputs.settled()).toMatchObject({ code: 'OUTPUT_TOO_LARGE' });
    expect(texts.recorded).toHaveLength(64);
    const pictures = collector([() => body(png)]);
    pictures.outputs.takePicture('3', 'image/png', new Uint8Array(RUN_LIMITS.heldBytes + 1));
    expect(await pictures.outputs.settled()).toMatchObject({ code: 'OUTPUT_TOO_LARGE', nodeId: '3' });
  });
});
