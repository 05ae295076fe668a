import { describe, expect, it } from 'vitest';
import { gathered } from '../../src/graphql/gathered.ts';
import { Gate } from '../../src/lib/gate.ts';

/** Answers in upper case, when it is told to. */
class Slow {
  readonly asked: (readonly string[])[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #heard: (() => void)[] = [];

  readonly answer = async (keys: readonly string[]): Promise<string[]> => {
    this.asked.push([...keys]);
    this.#heard.shift()?.();
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return keys.map((key) => key.toUpperCase());
  };

  /** The next batch arrives. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#heard.push(resolve));
  }

  release(): void {
    this.#waiting.shift()?.();
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('questions of one turn of the event loop', () => {
  it('are asked together, each once, however many ask it', async () => {
    const batches: string[][] = [];
    const loader = gathered(async (keys: readonly { name: string }[]) => {
      batches.push(keys.map(({ name }) => name));
      return keys.map(({ name }) => name.toUpperCase());
    });
    const answers = ['a', 'b', 'a', 'a'].map((name) => loader.load({ name }));
    expect(await Promise.all(answers)).toEqual(['A', 'B', 'A', 'A']);
    expect(await loader.load({ name: 'a' })).toBe('A');
    expect(batches).toEqual([['a', 'b'], ['a']]);
  });

  it('are asked in several batches where they are too many', async () => {
    const batches: number[] = [];
    const loader = gathered(
      async (keys: readonly number[]) => {
        batches.push(keys.length);
        return keys;
      },
      { most: 4 },
    );
    const asked = Array.from({ length: 20 }, (_, n) => n % 10);
    expect(await Promise.all(asked.map((n) => loader.load(n)))).toEqual(asked);
    expect(batches).toEqual([4, 4, 2]);
  });
});

describe('gathered questions behind a gate', () => {
  it('grow to one batch while another one is answered, and are answered from what is read after they were asked', async () => {
    const slow = new Slow();
    const loader = gathered(slow.answer, { gate: new Gate(1) });
    const first = slow.next();
    const a = loader.load('a');
    await first;
    const later: Promise<string>[] = [];
    for (const key of ['b', 'a', 'c', 'b']) {
      later.push(loader.load(key));
      await nextTurn();
    }
    expect(slow.asked).toEqual([['a']]);
    const second = slow.next();
    slow.release();
    await second;
    slow.release();
    expect([await a, ...(await Promise.all(later))]).toEqual(['A', 'B', 'A', 'C', 'B']);
    expect(slow.asked).toEqual([['a'], ['b', 'a', 'c']]);
  });

  it('of several kinds take turns, also after one that failed', async () => {
    const gate = new Gate(1);
    const slow = new Slow();
    const ill = gathered(() => Promise.reject(new Error('no')), { gate });
    const well = gathered(slow.answer, { gate });
    const heard = slow.next();
    const answers = [ill.load('a'), well.load('a')];
    await expect(answers[0]).rejects.toThrow('no');
    await heard;
    expect(gate.isFull).toBe(true);
    slow.release();
    expect(await answers[1]).toBe('A');
    await nextTurn();
    expect(gate.isFull).toBe(false);
    await expect(ill.load('a')).rejects.toThrow('no');
  });
});
