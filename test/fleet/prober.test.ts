import { describe, expect, it, onTestFinished } from 'vitest';
import type { ComfyHttp } from '../../src/comfyui/http.ts';
import type { HttpFailure } from '../../src/comfyui/http-failure.ts';
import type { HttpResult } from '../../src/comfyui/http-transport.ts';
import type { ObjectInfo } from '../../src/comfyui/object-info.ts';
import { Prober } from '../../src/fleet/prober.ts';
import { Gate } from '../../src/lib/gate.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { eventually } from '../support/eventually.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const slow: HttpFailure = { ok: false, reason: 'timeout', message: 'no answer in time' };
const unknown: HttpFailure = { ok: false, reason: 'status', status: 404, message: 'Not Found' };
const lists: ObjectInfo = { inventory: { nodeTypes: ['SaveImage'], models: [] }, uploadInputs: [] };
const REFRESH_MS = 600_000;

type Asked = Pick<ComfyHttp, 'getPromptCount' | 'getSystemStats' | 'getObjectInfo' | 'getEmbeddings'>;

/** A prober of an instance that answers so, and the moments at which it was asked for its lists. */
async function startProber(answers: Partial<Asked> = {}) {
  const clock = new VirtualClock();
  const asked: number[] = [];
  const read: ObjectInfo[] = [];
  const http: Asked = {
    getPromptCount: async () => ({ ok: true, value: 0 }),
    getSystemStats: async () => slow,
    getEmbeddings: async () => ({ ok: true, value: [] }),
    ...answers,
    getObjectInfo: async (options) => {
      asked.push(clock.monotonic());
      return answers.getObjectInfo?.(options) ?? { ok: true, value: lists };
    },
  };
  const prober = new Prober({
    http: http as ComfyHttp,
    clock,
    random: () => 0.5,
    logger: createLogger('silent'),
    intervalMs: 5000,
    timeoutMs: 1000,
    unhealthyAfterMisses: 3,
    inventoryRefreshMs: REFRESH_MS,
    lists: new Gate(1),
    doubt: () => null,
    onProbe: async () => undefined,
    onInventory: async (info) => void read.push(info),
  });
  await prober.start();
  onTestFinished(() => prober.stop());
  return { clock, asked, read, prober };
}

describe('the prober', () => {
  it('asks for the lists of an instance again soon when they could not be read, then as often as told', async () => {
    const answers: HttpResult<ObjectInfo>[] = [slow];
    const { clock, asked, read } = await startProber({
      getObjectInfo: async () => answers.pop() ?? { ok: true, value: lists },
    });
    await eventually(() => asked.length === 1);
    await clock.advance(20_000);
    await eventually(() => read.length === 1);
    await clock.advance(300_000);
    expect(asked).toHaveLength(2);
    expect(read).toEqual([lists]);
    await clock.advance(REFRESH_MS - 300_000);
    await eventually(() => read.length === 2);
  });

  it('adds the embeddings, which are in no list of an input', async () => {
    const { read } = await startProber({
      getEmbeddings: async () => ({ ok: true, value: ['easynegative'] }),
    });
    await eventually(() => read.length === 1);
    expect(read[0]?.inventory.models).toEqual([{ kind: 'embeddings', name: 'easynegative' }]);
  });

  it('does without embeddings where they cannot be asked for, but not where they were not answered', async () => {
    const without = await startProber({ getEmbeddings: async () => unknown });
    await eventually(() => without.read.length === 1);
    const answers: HttpResult<readonly string[]>[] = [{ ok: true, value: ['late'] }, slow];
    const late = await startProber({ getEmbeddings: async () => answers.pop() ?? unknown });
    await eventually(() => late.asked.length === 1);
    expect(late.read).toEqual([]);
    await late.clock.advance(20_000);
    await eventually(() => late.read.length === 1);
    expect(late.read[0]?.inventory.models).toHaveLength(1);
  });

  it('reads the lists again when they were found wrong, at most once a second', async () => {
    const { clock, asked, read, prober } = await startProber();
    await eventually(() => read.length === 1);
    await clock.advance(5000);
    for (let refusals = 0; refusals < 100; refusals++) {
      void prober.rereadLists();
      await clock.advance(50);
    }
    expect(asked.length).toBeGreaterThanOrEqual(5);
    expect(asked.length).toBeLessThanOrEqual(7);
    const gaps = asked.slice(1).map((at, index) => at - (asked[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1000);
  });
});
