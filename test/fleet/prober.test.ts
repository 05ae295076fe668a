import { describe, expect, it } from 'vitest';
import type { ComfyHttp } from '../../src/comfyui/http.ts';
import type { HttpFailure } from '../../src/comfyui/http-failure.ts';
import { Prober } from '../../src/fleet/prober.ts';
import { Gate } from '../../src/lib/gate.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { eventually } from '../support/eventually.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const slow: HttpFailure = { ok: false, reason: 'timeout', message: 'no answer in time' };
const lists = { inventory: { nodeTypes: ['SaveImage'], models: [] }, uploadInputs: [] };

describe('the prober', () => {
  it('asks for the lists of an instance again soon when they could not be read, then seldom', async () => {
    const clock = new VirtualClock();
    const asked: number[] = [];
    const read: unknown[] = [];
    const http: Pick<ComfyHttp, 'getPromptCount' | 'getSystemStats' | 'getObjectInfo'> = {
      getPromptCount: async () => ({ ok: true, value: 0 }),
      getSystemStats: async () => slow,
      getObjectInfo: async () => {
        asked.push(clock.monotonic());
        return asked.length === 1 ? slow : { ok: true, value: lists };
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
      lists: new Gate(1),
      doubt: () => null,
      onProbe: async () => undefined,
      onInventory: async (info) => void read.push(info),
    });
    await prober.start();
    await eventually(() => asked.length === 1);
    await clock.advance(20_000);
    await eventually(() => read.length === 1);
    await clock.advance(300_000);
    expect(asked).toHaveLength(2);
    expect(read).toEqual([lists]);
    await prober.stop();
  });
});
