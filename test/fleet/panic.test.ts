import { describe, expect, it } from 'vitest';
import { PANIC_LASTS_MS, Panic } from '../../src/fleet/panic.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const of = (tenant: string, workflow = 'txt2img') => ({ tenant, workflow, needsKey: 'n' });

function setup() {
  const clock = new VirtualClock();
  const changes: boolean[] = [];
  const lines: string[] = [];
  const logger = createLogger('info', { write: (line) => void lines.push(JSON.parse(line).level) });
  const panic: Panic = new Panic({ clock, logger, onChange: () => void changes.push(panic.isOn) });
  return { clock, changes, lines, panic };
}

describe('panic', () => {
  it('ends by itself, a minute after the last sign of it, and is told once', async () => {
    const { clock, changes, lines, panic } = setup();
    for (let n = 0; n < 5; n++) {
      panic.seen(of('acme'));
      panic.seen(of('umbrella'));
      await clock.advance(PANIC_LASTS_MS / 2);
    }
    expect(changes).toEqual([true]);
    await clock.advance(PANIC_LASTS_MS / 2 - 1);
    expect(panic.isOn).toBe(true);
    await clock.advance(1);
    expect(changes).toEqual([true, false]);
    // one warning, one line when it is over
    expect(lines).toEqual([40, 30]);
    expect(clock.pending).toBe(0);
  });

  it('is not made by jobs of one kind, however many of them fail, and lasts no longer than the others', async () => {
    const { clock, changes, panic } = setup();
    for (let n = 0; n < 5; n++) panic.seen(of('acme'));
    expect(panic.isOn).toBe(false);
    await clock.advance(PANIC_LASTS_MS);
    // what the others said is too old by then
    panic.seen(of('umbrella'));
    expect(panic.isOn).toBe(false);
    panic.seen(of('umbrella', 'video'));
    for (let n = 0; n < 6; n++) {
      await clock.advance(PANIC_LASTS_MS / 6);
      panic.seen(of('umbrella'));
    }
    expect(changes).toEqual([true, false]);
  });

  it('leaves no timer behind', () => {
    const { clock, panic } = setup();
    panic.seen(of('acme'));
    panic.seen(of('umbrella'));
    panic.stop();
    expect([panic.isOn, clock.pending]).toEqual([false, 0]);
  });
});
