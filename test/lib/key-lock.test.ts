import { describe, expect, it } from 'vitest';
import { KeyLock } from '../../src/lib/key-lock.ts';
import { flush } from '../support/virtual-clock.ts';

describe('KeyLock', () => {
  it('runs the tasks of one key one after another, in order, also after one that failed', async () => {
    const lock = new KeyLock();
    const log: string[] = [];
    const task = (name: string, fails = false) =>
      lock.run('key', async () => {
        log.push(`${name} begins`);
        await flush();
        log.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      });
    const results = await Promise.allSettled([task('a'), task('b', true), task('c')]);
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    expect(lock.size).toBe(0);
  });

  it('does not let one key wait for another', async () => {
    const lock = new KeyLock();
    let finish = (): void => undefined;
    const slow = lock.run('slow', () => new Promise<void>((resolve) => (finish = resolve)));
    expect(await lock.run('quick', async () => 'done')).toBe('done');
    finish();
    await slow;
  });
});
