import { describe, expect, it } from 'vitest';
import { Gate } from '../../src/lib/gate.ts';

describe('a gate', () => {
  it('lets so many in at once and the others in their order', () => {
    const gate = new Gate(2);
    const inside: string[] = [];
    const leave = ['a', 'b', 'c', 'd'].map((name) => gate.pass(() => inside.push(name)));
    expect(inside).toEqual(['a', 'b']);
    expect(gate.isFull).toBe(true);
    leave[1]?.();
    leave[1]?.();
    expect(inside).toEqual(['a', 'b', 'c']);
    leave[0]?.();
    expect(inside).toEqual(['a', 'b', 'c', 'd']);
  });

  it('forgets who gives up waiting', () => {
    const gate = new Gate(1);
    const inside: string[] = [];
    const leave = gate.pass(() => inside.push('a'));
    gate.pass(() => inside.push('b'))();
    gate.pass(() => inside.push('c'));
    leave();
    expect(inside).toEqual(['a', 'c']);
  });

  it('makes room again after work that fails, and does no work for who has left', async () => {
    const gate = new Gate(1);
    const signal = new AbortController().signal;
    const failing = gate.run(() => Promise.reject(new Error('no')), signal);
    const gone = new AbortController();
    const late = gate.run(async () => 'late', gone.signal);
    gone.abort();
    await expect(failing).rejects.toThrow('no');
    expect(await late).toBeNull();
    expect(await gate.run(async () => 'done', signal)).toBe('done');
    expect(gate.isFull).toBe(false);
  });

  it('does the work of all who wait when nobody leaves, so many at a time', async () => {
    const gate = new Gate(2);
    let inside = 0;
    let most = 0;
    const work = async (n: number): Promise<number> => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
      return n;
    };
    const all = [1, 2, 3, 4, 5];
    expect(await Promise.all(all.map((n) => gate.run(() => work(n))))).toEqual(all);
    expect(most).toBe(2);
  });
});
