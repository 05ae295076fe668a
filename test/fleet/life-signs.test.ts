import { describe, expect, it } from 'vitest';
import type { ComfyHttp } from '../../src/comfyui/http.ts';
import type { ComfyMessage } from '../../src/comfyui/messages.ts';
import { LifeSigns } from '../../src/fleet/life-signs.ts';
import { eventually } from '../support/eventually.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { simulator, startFleet, tempStore } from './fleet-rig.ts';

const ended = (promptId: string): ComfyMessage => ({
  kind: 'executing',
  promptId,
  node: null,
  displayNode: null,
});
const entry = { promptId: 'p', status: null, outputs: {}, messages: [] };

/** Life signs of an instance whose history holds these prompts. */
function setup(history: string[]) {
  const clock = new VirtualClock();
  const asked: string[] = [];
  const getHistoryEntry = async (promptId: string) => {
    asked.push(promptId);
    return { ok: true, value: history.includes(promptId) ? entry : null };
  };
  const http = { getHistoryEntry } as unknown as Pick<ComfyHttp, 'getHistoryEntry'>;
  return { clock, asked, signs: new LifeSigns({ http, clock, deadlineMs: 100 }) };
}

describe('what an instance comes back as', () => {
  it('is first, then nothing while it is never away, and nothing is asked for that', async () => {
    const { signs, asked } = setup([]);
    signs.heard(ended('a'));
    expect([await signs.comeback(true), await signs.comeback(false)]).toEqual(['first', null]);
    expect(asked).toEqual([]);
  });

  it('is the same when it still knows the prompt that ended last', async () => {
    const { signs, asked } = setup(['a', 'b']);
    await signs.comeback(true);
    for (const message of [ended('a'), ended('b')]) signs.heard(message);
    expect(await signs.comeback(true)).toBe('same');
    signs.cut();
    expect(await signs.comeback(false)).toBeNull();
    expect(asked).toEqual(['b', 'b']);
  });

  it('is another process when it does not, also when only its socket was cut', async () => {
    const { signs } = setup([]);
    await signs.comeback(true);
    signs.heard(ended('a'));
    signs.cut();
    expect(await signs.comeback(false)).toBe('restarted');
    expect(await signs.comeback(false)).toBeNull();
  });

  it('may be another process as long as no prompt has ended', async () => {
    const { signs } = setup([]);
    await signs.comeback(true);
    signs.heard({ kind: 'executing', promptId: 'a', node: '1', displayNode: null });
    expect(await signs.comeback(true)).toBe('restarted');
  });
});

describe('the last sign of life', () => {
  it('is older than any time before the first, and as old as the last', async () => {
    const { signs, clock } = setup([]);
    expect(signs.areOlderThan(1e9)).toBe(true);
    signs.note();
    await clock.advance(1000);
    expect([signs.areOlderThan(999), signs.areOlderThan(1000)]).toEqual([true, false]);
  });

  it('is any answer and any message: an instance that is only asked is never stale for long, a frozen one is', async () => {
    const one = await simulator();
    const config = { probeIntervalMs: 100, probeTimeoutMs: 5000, comfyuiWebsocket: false };
    const fleet = await startFleet(await tempStore(), [one.url], { config });
    await eventually(() => fleet.instances()[0]?.answering);
    one.control.setFaults({ frozen: true });
    // before any probe has failed
    await eventually(() => fleet.instances()[0]?.stale);
    expect(fleet.instances()[0]?.answering).toBe(true);
    one.control.setFaults({ frozen: false });
    await eventually(() => fleet.instances()[0]?.stale === false);
  });
});
