import { describe, expect, it } from 'vitest';
import { TransferGate } from '../../../src/scheduler/transfers/transfer-gate.ts';
import { flush } from '../../support/virtual-clock.ts';

/** Transfers that last until told to end, and the order in which they began. */
function rig(perInstance: number, overall: number) {
  const gate = new TransferGate({ perInstance, overall });
  const began: string[] = [];
  const ends = new Map<string, () => void>();
  const most = { overall: 0 };
  const begin = (name: string, instance: string, owner: string, signal = new AbortController().signal) =>
    gate.pass(
      instance,
      owner,
      () => {
        began.push(name);
        most.overall = Math.max(most.overall, gate.moving);
        return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
      },
      signal,
    );
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await flush();
  };
  return { gate, began, begin, end, most };
}

describe('the gate for transfers (F44)', () => {
  it('lets four files of one instance move at once, the rest in order', async () => {
    const { began, begin, end } = rig(4, 32);
    const all = Array.from({ length: 6 }, (_, n) => begin(`f${n}`, 'a', 'run'));
    expect(began).toEqual(['f0', 'f1', 'f2', 'f3']);
    await end('f2');
    expect(began.at(-1)).toBe('f4');
    await end('f0');
    expect(began.at(-1)).toBe('f5');
    for (const name of ['f1', 'f3', 'f4', 'f5']) await end(name);
    expect(await Promise.all(all)).toEqual(['f0', 'f1', 'f2', 'f3', 'f4', 'f5']);
  });

  it('lets so many move over all instances, and a full instance holds up no other', async () => {
    const { gate, began, begin, end, most } = rig(2, 3);
    for (const name of ['a0', 'a1', 'a2', 'a3']) void begin(name, 'a', `run of ${name}`);
    for (const name of ['b0', 'b1']) void begin(name, 'b', `run of ${name}`);
    expect(began).toEqual(['a0', 'a1', 'b0']);
    await end('b0');
    expect(began.at(-1)).toBe('b1');
    for (const name of ['a0', 'a1', 'a2', 'a3', 'b1']) await end(name);
    expect([gate.moving, most.overall]).toEqual([0, 3]);
  });

  it('is fair between runs: one with a hundred files does not hold up one with two', async () => {
    const { began, begin, end } = rig(1, 1);
    for (let n = 0; n < 100; n++) void begin(`many ${n}`, 'a', 'many');
    void begin('few 0', 'a', 'few');
    void begin('few 1', 'a', 'few');
    for (let turn = 0; turn < 4; turn++) await end(began.at(-1) ?? '');
    expect(began).toEqual(['many 0', 'many 1', 'few 0', 'many 2', 'few 1']);
  });

  it('forgets who no longer waits, and gives a place back after a failure', async () => {
    const { gate, began, begin, end } = rig(1, 1);
    const first = begin('first', 'a', 'one');
    const given = new AbortController();
    const second = begin('second', 'a', 'two', given.signal);
    given.abort();
    expect(await second).toBeNull();
    expect(await begin('third', 'a', 'two', AbortSignal.abort())).toBeNull();
    await end('first');
    await first;
    await expect(gate.pass('a', 'one', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(gate.moving).toBe(0);
    void begin('fourth', 'a', 'two');
    expect(began).toEqual(['first', 'fourth']);
    await end('fourth');
  });
});
