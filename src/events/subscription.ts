/**
 * One subscriber's end of a bus, the same for every kind of bus: a mailbox with an async iterator. Written out rather
 * than as an async generator, whose return() would queue behind a pending next() and never end.
 */
import type { BusSignal, BusSubscription, SubscribeOptions } from './bus.ts';
import type { OnDropped } from './dropped.ts';
import { Mailbox } from './mailbox.ts';
import type { BusMessage } from './messages.ts';

const DEFAULT_LIMIT = 256;
type Result = IteratorResult<BusSignal, undefined>;
const ENDED: IteratorReturnResult<undefined> = { done: true, value: undefined };

export class MailboxSubscription implements BusSubscription {
  readonly #mailbox: Mailbox;
  readonly #readers: ((result: Result) => void)[] = [];
  readonly #signal: AbortSignal | undefined;
  readonly #onClose: (subscription: MailboxSubscription) => void;
  readonly #onAbort = (): void => this.close();
  #closed = false;

  /** `onClose` runs once, when it ends by whatever way: the bus then stops delivering. */
  constructor(
    options: SubscribeOptions,
    onClose: (subscription: MailboxSubscription) => void,
    onDropped?: OnDropped,
  ) {
    this.#mailbox = new Mailbox(options.limit ?? DEFAULT_LIMIT, onDropped);
    this.#onClose = onClose;
    this.#signal = options.signal;
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (this.#signal?.aborted) this.close();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** For the bus: a message for this subscriber. Runs no code of the reader. */
  deliver(message: BusMessage): void {
    if (this.#closed) return;
    this.#mailbox.put(message);
    this.#serve();
  }

  /** For the bus: messages may have been lost on the way. */
  gap(): void {
    if (this.#closed) return;
    this.#mailbox.gap();
    this.#serve();
  }

  next(): Promise<Result> {
    const signal = this.#mailbox.take();
    if (signal) return Promise.resolve({ done: false, value: signal });
    if (this.#closed) return Promise.resolve(ENDED);
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#mailbox.clear();
    this.#onClose(this);
    for (const resolve of this.#readers.splice(0)) resolve(ENDED);
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.close();
    return Promise.resolve(ENDED);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #serve(): void {
    while (this.#readers.length > 0) {
      const signal = this.#mailbox.take();
      if (!signal) return;
      this.#readers.shift()?.({ done: false, value: signal });
    }
  }
}
