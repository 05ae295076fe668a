/** The subscriptions of this process by topic: the last stretch of every bus, whatever wire the messages came over. */
import type { SubscribeOptions } from './bus.ts';
import type { OnDropped } from './dropped.ts';
import type { BusMessage } from './messages.ts';
import { MailboxSubscription } from './subscription.ts';
import { type Topic, topicsOf } from './topics.ts';

export class FanOut {
  readonly #onDropped: OnDropped | undefined;
  readonly #listeners = new Map<Topic, Set<MailboxSubscription>>();
  readonly #all = new Set<MailboxSubscription>();

  constructor(onDropped?: OnDropped) {
    this.#onDropped = onDropped;
  }

  /** A subscription that hears from now on, until it is closed. */
  add(topics: readonly Topic[], options: SubscribeOptions): MailboxSubscription {
    const wanted = new Set(topics);
    const remove = (closed: MailboxSubscription): void => this.#remove(wanted, closed);
    const subscription = new MailboxSubscription(options, remove, this.#onDropped);
    if (subscription.closed) return subscription;
    this.#all.add(subscription);
    for (const topic of wanted) {
      const listeners = this.#listeners.get(topic);
      if (listeners) listeners.add(subscription);
      else this.#listeners.set(topic, new Set([subscription]));
    }
    return subscription;
  }

  /** Once to each that listens to any of its topics. */
  deliver(message: BusMessage): void {
    const told = new Set<MailboxSubscription>();
    for (const topic of topicsOf(message)) {
      for (const subscription of this.#listeners.get(topic) ?? []) {
        if (told.has(subscription)) continue;
        told.add(subscription);
        subscription.deliver(message);
      }
    }
  }

  /** Messages were lost, and nobody knows whose; those who listen to the topic `besides` are not told. */
  gap(besides?: Topic): void {
    const spared = besides && this.#listeners.get(besides);
    for (const subscription of this.#all) if (!spared?.has(subscription)) subscription.gap();
  }

  closeAll(): void {
    for (const subscription of [...this.#all]) subscription.close();
  }

  /** Topics somebody listens to: none may be left once every subscriber is gone. */
  get topicCount(): number {
    return this.#listeners.size;
  }

  #remove(topics: ReadonlySet<Topic>, subscription: MailboxSubscription): void {
    this.#all.delete(subscription);
    for (const topic of topics) {
      const listeners = this.#listeners.get(topic);
      listeners?.delete(subscription);
      if (listeners?.size === 0) this.#listeners.delete(topic);
    }
  }
}
