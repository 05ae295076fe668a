/**
 * The one way a subscription's iterator is made. It starts with the first `next`, sends one value at a time (a slow
 * client leaves its backlog in its bounded mailbox), and `return` ends it at once even while it waits: a Repeater, never
 * an async generator, whose `return` would queue up behind the pending `next`.
 */
import { Repeater } from '@repeaterjs/repeater';
import { type Clock, pause } from '../../lib/clock.ts';
import type { Turns } from '../../lib/turns.ts';
import { storeTrouble } from '../../store/retryable.ts';

/** What a stream takes of the context. */
export interface StreamContext {
  readonly turns: Turns;
  readonly services: { readonly clock: Clock };
}

/** Resolves when the value was taken and the next one is asked for, or when the stream has ended. */
export type Push<T> = (value: T) => Promise<unknown>;

/** All at the same time, as they failed at the same time: then they share what they read. */
const STORE_AWAY_MS = 1000;

/** Feeds the stream; returns soon after `ended` aborts, which happens when the client leaves or it returns. */
export type Run = (ended: AbortSignal) => Promise<void>;

/**
 * `begin` is called once. Values wait for their turn, so that a crowd of subscribers to one message holds up nothing else.
 * While the store is away the stream is quiet: what `begin` answered is called anew, and must go on where it was, as
 * after a gap. Anything else it throws is the stream's error. A gateway that stops ends no stream by itself: an orderly end would say that nothing more is to come,
 * while a connection that is closed makes its client come back.
 */
export function stream<T>(
  { turns, services: { clock } }: StreamContext,
  begin: (push: Push<T>) => Run,
): AsyncIterableIterator<T> {
  return new Repeater<T>(async (push, stop) => {
    const abort = new AbortController();
    void stop.then(() => abort.abort());
    try {
      const send: Push<T> = async (value) => {
        await turns.next();
        return push(value);
      };
      const run = begin(send);
      while (!(await withStore(() => run(abort.signal)))) {
        if (!(await pause(clock, STORE_AWAY_MS, abort.signal))) return;
      }
    } finally {
      abort.abort();
      stop();
    }
  });
}

/** False when the store went away under it. */
async function withStore(run: () => Promise<void>): Promise<boolean> {
  try {
    await run();
    return true;
  } catch (error) {
    if (storeTrouble(error) === null) throw error;
    return false;
  }
}
