/**
 * The one way a subscription's iterator is made. It starts with the first `next`, sends one value at a time (a slow
 * client leaves its backlog in its bounded mailbox), and `return` ends it at once even while it waits: a Repeater, never
 * an async generator, whose `return` would queue up behind the pending `next`.
 */
import { Repeater } from '@repeaterjs/repeater';
import type { Turns } from '../../lib/turns.ts';

/** Resolves when the value was taken and the next one is asked for, or when the stream has ended. */
export type Push<T> = (value: T) => Promise<unknown>;

/**
 * `run` feeds the stream and must return soon after `ended` aborts, which happens when the client leaves or `run` returns.
 * Values wait for their turn, so that a crowd of subscribers to one message holds up nothing else. What it throws is the stream's error. A gateway that stops ends no stream by itself: an orderly end would say that
 * nothing more is to come, while a connection that is closed makes its client come back.
 */
export function stream<T>(
  turns: Turns,
  run: (push: Push<T>, ended: AbortSignal) => Promise<void>,
): AsyncIterableIterator<T> {
  return new Repeater<T>(async (push, stop) => {
    const abort = new AbortController();
    void stop.then(() => abort.abort());
    try {
      await run(async (value) => {
        await turns.next();
        return push(value);
      }, abort.signal);
    } finally {
      abort.abort();
      stop();
    }
  });
}
