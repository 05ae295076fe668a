import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Fleet } from '../../src/fleet/fleet.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { eventually } from '../support/eventually.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { startFleet, tempStore } from './fleet-rig.ts';

/** A port at which nobody listens for the moment. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

const first = (fleet: Fleet) => fleet.instances()[0];

describe('an instance that takes two minutes to start (F30)', () => {
  it('is starting, not broken: nothing speaks against it, the log stays quiet, and it is used once it is up', async () => {
    const clock = new VirtualClock();
    const port = await freePort();
    const lines: { level: number; msg: string }[] = [];
    const logger = createLogger('info', { write: (line) => void lines.push(JSON.parse(line)) });
    const config = { probeIntervalMs: 5000, probeTimeoutMs: 3000 };
    const url = `http://127.0.0.1:${port}`;
    const fleet = await startFleet(await tempStore(), [url], { clock, logger, config });
    const pass = async (ms: number): Promise<void> => {
      await clock.advance(ms);
      // the refusal comes over a real connection: the next probe is due only then
      await eventually(() => clock.pending > 0);
    };
    await eventually(() => first(fleet)?.starting);
    for (let second = 0; second < 120; second++) await pass(1000);
    expect(first(fleet)).toMatchObject({
      starting: true,
      answering: false,
      breaker: 'CLOSED',
      slowStart: false,
    });
    expect(first(fleet)?.instance.lastError).toMatch(/^not up yet: connection refused/);
    expect(lines).toEqual([]);
    const simulator = await startSimulator({ port });
    try {
      await eventually(async () => {
        await pass(1000);
        return first(fleet)?.answering;
      });
      expect(first(fleet)).toMatchObject({ starting: false, breaker: 'CLOSED' });
      expect(first(fleet)?.instance).toMatchObject({ health: 'HEALTHY', lastError: null });
      expect(simulator.control.prompts()).toEqual([]);
    } finally {
      await fleet.stop();
      await simulator.stop();
    }
  });

  it('is broken when it has not come up after five', async () => {
    const clock = new VirtualClock();
    const url = `http://127.0.0.1:${await freePort()}`;
    const config = { probeIntervalMs: 5000, probeTimeoutMs: 3000 };
    const fleet = await startFleet(await tempStore(), [url], { clock, config });
    await eventually(() => first(fleet)?.starting);
    await eventually(async () => {
      await clock.advance(5000);
      return first(fleet)?.starting === false;
    });
    await eventually(async () => {
      await clock.advance(5000);
      return first(fleet)?.instance.lastError?.startsWith('connection refused');
    });
    expect(first(fleet)?.instance.health).toBe('UNHEALTHY');
  });
});
