/** The event bus of a gateway that runs as one process: nothing leaves it, delivery is a method call. */
import type { BusSubscription, EventBus, Latest, PreviewImage, SubscribeOptions } from './bus.ts';
import { LiveNews, type LiveNewsLimits } from './live-news.ts';
import type { BusMessage, PreviewMessage } from './messages.ts';
import { MailboxSubscription } from './subscription.ts';
import { type Topic, topicsOf } from './topics.ts';

const DEFAULT_LIMITS: LiveNewsLimits = { maxJobs: 10_000, maxImageBytes: 64 * 1024 * 1024 };

export class MemoryBus implements EventBus {
  readonly #listeners = new Map<Topic, Set<MailboxSubscription>>();
  readonly #news: LiveNews;
  #running = false;

  constructor(limits: Partial<LiveNewsLimits> = {}) {
    this.#news = new LiveNews({ ...DEFAULT_LIMITS, ...limits });
  }

  async start(): Promise<void> {
    this.#running = true;
  }

  /** Ends every subscription. */
  async stop(): Promise<void> {
    this.#running = false;
    for (const listeners of [...this.#listeners.values()]) {
      for (const subscription of [...listeners]) subscription.close();
    }
    this.#news.clear();
  }

  publish(message: BusMessage): void {
    if (!this.#running) return;
    if (message.kind === 'job' && message.change.type === 'progress') {
      this.#news.keepProgress(message.jobId, message.change.progress);
    }
    this.#deliver(message);
  }

  publishPreview(message: PreviewMessage, image: Uint8Array): void {
    if (!this.#running) return;
    // Kept before it is announced: who hears of the picture can fetch it.
    this.#news.keepPreview(message.jobId, message.change.preview, image);
    this.#deliver(message);
  }

  async subscribe(topics: readonly Topic[], options: SubscribeOptions = {}): Promise<BusSubscription> {
    const wanted = new Set(topics);
    const subscription = new MailboxSubscription(options, (closed) => this.#unlisten(wanted, closed));
    if (!this.#running) subscription.close();
    if (subscription.closed) return subscription;
    for (const topic of wanted) {
      const listeners = this.#listeners.get(topic);
      if (listeners) listeners.add(subscription);
      else this.#listeners.set(topic, new Set([subscription]));
    }
    return subscription;
  }

  async latest(jobIds: readonly string[]): Promise<ReadonlyMap<string, Latest>> {
    return this.#news.latest(jobIds);
  }

  async previewImage(jobId: string): Promise<PreviewImage | null> {
    return this.#news.picture(jobId);
  }

  forget(jobId: string): void {
    this.#news.forget(jobId);
  }

  healthy(): boolean {
    return this.#running;
  }

  /** Topics somebody listens to: none may be left once every subscriber is gone. */
  get topicCount(): number {
    return this.#listeners.size;
  }

  #deliver(message: BusMessage): void {
    const told = new Set<MailboxSubscription>();
    for (const topic of topicsOf(message)) {
      for (const subscription of this.#listeners.get(topic) ?? []) {
        if (told.has(subscription)) continue;
        told.add(subscription);
        subscription.deliver(message);
      }
    }
  }

  #unlisten(topics: ReadonlySet<Topic>, subscription: MailboxSubscription): void {
    for (const topic of topics) {
      const listeners = this.#listeners.get(topic);
      listeners?.delete(subscription);
      if (listeners?.size === 0) this.#listeners.delete(topic);
    }
  }
}
