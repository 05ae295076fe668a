/** Thousands of subscribers in processes of their own, so that the scenario's event loop does not blur what it measures. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Order, Story } from './subscriber.ts';

const PROGRAM = fileURLToPath(new URL('crowd-process.ts', import.meta.url));
const LOOK_MS = 100;

/** How many subscribers stand where. */
export interface Standing {
  readonly all: number;
  readonly connected: number;
  /** Have a first result over the connection they have, or have seen the end. */
  readonly settled: number;
  readonly completed: number;
}

export type CrowdOrder =
  | {
      readonly kind: 'begin';
      readonly orders: readonly Order[];
      readonly overMs: number;
      readonly seed: number;
    }
  | { readonly kind: 'standing' | 'stories' | 'leave' };

export type CrowdAnswer =
  | { readonly kind: 'ready' | 'begun' }
  | { readonly kind: 'standing'; readonly standing: Standing }
  | { readonly kind: 'stories'; readonly stories: readonly Story[] };

type AnswerOf<K> = Extract<CrowdAnswer, { kind: K }>;

export class Crowd implements AsyncDisposable {
  readonly #children: readonly ChildProcess[];

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
  }

  static async of(processes: number): Promise<Crowd> {
    const crowd = new Crowd(Array.from({ length: processes }, () => fork(PROGRAM, { stdio: 'inherit' })));
    await Promise.all(crowd.#children.map((child) => heard(child, 'ready')));
    return crowd;
  }

  /** Resolves when all have begun to connect, evenly over the time. */
  async begin(orders: readonly Order[], overMs: number, seed: number): Promise<void> {
    const count = this.#children.length;
    await Promise.all(
      this.#children.map((child, n) => {
        const share = orders.filter((_, index) => index % count === n);
        return ask(child, { kind: 'begin', orders: share, overMs, seed: seed + n }, 'begun');
      }),
    );
  }

  async standing(): Promise<Standing> {
    const answers = await Promise.all(
      this.#children.map((child) => ask(child, { kind: 'standing' }, 'standing')),
    );
    const sum = (of: (standing: Standing) => number): number =>
      answers.reduce((all, { standing }) => all + of(standing), 0);
    return {
      all: sum((one) => one.all),
      connected: sum((one) => one.connected),
      settled: sum((one) => one.settled),
      completed: sum((one) => one.completed),
    };
  }

  /** Waits until it fits; false when that took too long. */
  async until(fits: (standing: Standing) => boolean, withinMs: number): Promise<boolean> {
    const deadline = performance.now() + withinMs;
    while (!fits(await this.standing())) {
      if (performance.now() > deadline) return false;
      await sleep(LOOK_MS);
    }
    return true;
  }

  async stories(): Promise<Story[]> {
    const answers = await Promise.all(
      this.#children.map((child) => ask(child, { kind: 'stories' }, 'stories')),
    );
    return answers.flatMap(({ stories }) => stories);
  }

  /** All subscribers go away at once, without a word. */
  leave(): void {
    for (const child of this.#children) child.send({ kind: 'leave' } satisfies CrowdOrder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }),
    );
  }
}

function ask<K extends CrowdAnswer['kind']>(
  child: ChildProcess,
  order: CrowdOrder,
  kind: K,
): Promise<AnswerOf<K>> {
  const answer = heard(child, kind);
  child.send(order);
  return answer;
}

/** The next answer of the kind. @throws when the process ends before. */
function heard<K extends CrowdAnswer['kind']>(child: ChildProcess, kind: K): Promise<AnswerOf<K>> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new Error('a process full of subscribers ended'));
    const onMessage = (message: CrowdAnswer): void => {
      if (message.kind !== kind) return;
      child.off('exit', onExit);
      child.off('message', onMessage);
      resolve(message as AnswerOf<K>);
    };
    child.once('exit', onExit);
    child.on('message', onMessage);
  });
}
