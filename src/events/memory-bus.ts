/** The event bus of a gateway that runs as one process: nothing leaves it, delivery is a method call. */
import type { Survey } from '../domain/survey.ts';
import type { BusSubscription, EventBus, Latest, PreviewImage, SubscribeOptions } from './bus.ts';
import type { OnDropped } from './dropped.ts';
import { FanOut } from './fan-out.ts';
import { LiveNews, type LiveNewsLimits } from './live-news.ts';
import type { BusMessage, PreviewMessage } from './messages.ts';
import { hintsTopic, type Topic } from './topics.ts';

const DEFAULT_LIMITS: LiveNewsLimits = { maxJobs: 10_000, maxImageBytes: 64 * 1024 * 1024 };

export class MemoryBus implements EventBus {
  readonly #listeners: FanOut;
  readonly #news: LiveNews;
  #survey: Survey | null = null;
  #running = false;

  constructor(limits: Partial<LiveNewsLimits> = {}, onDropped?: OnDropped) {
    this.#listeners = new FanOut(onDropped);
    this.#news = new LiveNews({ ...DEFAULT_LIMITS, ...limits });
  }

  async start(): Promise<void> {
    this.#running = true;
  }

  /** Ends every subscription. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#listeners.closeAll();
    this.#news.clear();
    this.#survey = null;
  }

  publish(message: BusMessage): void {
    if (!this.#running) return;
    if (message.kind === 'job' && message.change.type === 'progress') {
      this.#news.keepProgress(message.jobId, message.seq, message.change.progress);
    }
    this.#listeners.deliver(message);
  }

  publishPreview(message: PreviewMessage, image: Uint8Array): void {
    if (!this.#running) return;
    // Kept before it is announced: who hears of the picture can fetch it.
    this.#news.keepPreview(message.jobId, message.seq, message.change.preview, image);
    this.#listeners.deliver(message);
  }

  async subscribe(topics: readonly Topic[], options: SubscribeOptions = {}): Promise<BusSubscription> {
    const subscription = this.#listeners.add(topics, options);
    if (!this.#running) subscription.close();
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

  publishSurvey(survey: Survey): void {
    if (!this.#running) return;
    this.#survey = survey;
    this.publish({ kind: 'queue', at: survey.at });
  }

  async latestSurvey(): Promise<Survey | null> {
    return this.#survey;
  }

  missed(): void {
    this.#listeners.gap();
  }

  /** The same for those who read rows when told to only; who listens to hints, as schedulers do, reads them anyway. */
  remind(): void {
    this.#listeners.gap(hintsTopic);
  }

  healthy(): boolean {
    return this.#running;
  }

  /** Topics somebody listens to: none may be left once every subscriber is gone. */
  get topicCount(): number {
    return this.#listeners.topicCount;
  }
}
