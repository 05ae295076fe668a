import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ComfyHttp } from '../../src/comfyui/http.ts';
import type { Output } from '../../src/domain/output.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { OutputCollector, type OutputParts } from '../../src/scheduler/outputs.ts';
import { DiskStore } from '../../src/storage/disk-store.ts';

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
function collector(answers: readonly (() => Awaited<ReturnType<View>>)[], known: Output[] = []) {
  const recorded: Omit<Output, 'id' | 'jobId' | 'attemptId' | 'tenant' | 'createdAt'>[] = [];
  let asked = 0;
  const parts: OutputParts = {
    http: {
      view: async () => (answers[Math.min(asked++, answers.length - 1)] as () => Awaited<ReturnType<View>>)(),
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
    maxOutputBytes: 1e6,
  };
  const subject = { attemptId: 'a', tenant: 't', term: 1, known, onOutput: () => undefined };
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
});
