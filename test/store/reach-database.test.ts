import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { PATIENCE_MS, reachDatabase } from '../../src/store/reach-database.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const URL_WITH_SECRETS = 'postgres://ada:hunter2@db.internal:5433/fleet';
const failing = (code: string) => async (): Promise<never> => {
  throw Object.assign(new Error(`something about "ada" and hunter2`), { code });
};

function setUp(signal?: AbortSignal) {
  const lines: string[] = [];
  const clock = new VirtualClock();
  const logger = createLogger('debug', { write: (line: string) => void lines.push(line) });
  return { clock, lines, parts: { url: URL_WITH_SECRETS, clock, logger, signal } };
}

describe('a database that is not there when a process starts', () => {
  it('is tried again until it is', async () => {
    const { clock, parts } = setUp();
    let tries = 0;
    const reached = reachDatabase(parts, async () => (++tries < 5 ? failing('57P03')() : 'reached'));
    await clock.advance(10_000);
    expect(await reached).toBe('reached');
    expect(clock.pending).toBe(0);
  });

  it('is waited for a minute; it is told now and then, with its host, and in the end what to do', async () => {
    const { clock, lines, parts } = setUp();
    const reached = reachDatabase(parts, failing('ECONNREFUSED')).catch((error: Error) => error.message);
    await clock.advance(PATIENCE_MS + 1000);
    const message = await reached;
    expect(message).toMatch(
      /^the database at db\.internal:5433 did not answer for 60 s \(ECONNREFUSED\); see that/,
    );
    expect(lines.length).toBeGreaterThan(5);
    expect(lines.length).toBeLessThan(20);
    expect(lines[0]).toContain('db.internal:5433');
    expect([message, ...lines].join()).not.toMatch(/ada|hunter2/);
  });

  it('is given up when the process is to stop', async () => {
    const stop = new AbortController();
    const { clock, parts } = setUp(stop.signal);
    const reached = reachDatabase(parts, failing('ENOTFOUND')).catch((error: Error) => error);
    await clock.advance(2000);
    stop.abort();
    expect(await reached).toBe(stop.signal.reason);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['28P01', 'refuses the user or the password'],
    ['28000', 'does not let in the user'],
    ['3D000', 'has no database of the name'],
  ])('is not waited for when it refuses us: %s', async (code, said) => {
    const { parts } = setUp();
    const error = await reachDatabase(parts, failing(code)).catch((reason: Error) => reason);
    expect(error).toMatchObject({ message: expect.stringContaining(said) });
    expect(String(error)).not.toMatch(/ada|hunter2/);
  });

  it('is not waited for when something else is wrong', async () => {
    await expect(reachDatabase(setUp().parts, failing('42601'))).rejects.toMatchObject({ code: '42601' });
  });
});
