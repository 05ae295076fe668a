/**
 * The event bus of a fleet of processes. A message is told to the subscriptions of this process at once, and to those of
 * the others through Redis; the newest live news of each job lies in Redis too. Redis may go away, come back empty or lose
 * anything: subscriptions are then told of a gap, and nothing here waits or fails.
 */
import type { Survey } from '../domain/survey.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { BusSubscription, EventBus, Latest, PreviewImage, SubscribeOptions } from './bus.ts';
import type { OnDropped } from './dropped.ts';
import { FanOut } from './fan-out.ts';
import { FleetChannel } from './fleet-channel.ts';
import { LiveKeys } from './live-keys.ts';
import type { BusMessage, PreviewMessage } from './messages.ts';
import { SurveyKey } from './survey-key.ts';
import type { Topic } from './topics.ts';
import type { Wire } from './wire.ts';

export interface RedisBusParts {
  readonly wire: Wire;
  /** Of the names of all keys: a fleet's own. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly ids: () => string;
  readonly logger: Logger;
  readonly random: () => number;
  readonly onDropped?: OnDropped | undefined;
}

export class RedisBus implements EventBus {
  readonly #listeners: FanOut;
  readonly #channel: FleetChannel;
  readonly #keys: LiveKeys;
  readonly #survey: SurveyKey;
  #running = false;

  constructor(parts: RedisBusParts) {
    this.#listeners = new FanOut(parts.onDropped);
    this.#keys = new LiveKeys(parts);
    this.#survey = new SurveyKey(parts);
    this.#channel = new FleetChannel(parts, {
      onMessage: (message) => this.#listeners.deliver(message),
      onGap: () => this.#listeners.gap(),
      onCalm: () => this.#keys.flush(),
    });
  }

  /** Resolves without Redis too: it may come later. */
  async start(): Promise<void> {
    this.#running = true;
    await this.#channel.start();
  }

  /** Ends every subscription. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    this.#listeners.closeAll();
    this.#keys.stop();
    await this.#channel.stop();
  }

  publish(message: BusMessage): void {
    if (!this.#running) return;
    if (message.kind === 'job' && message.change.type === 'progress') {
      this.#keys.keepProgress(message.jobId, message.seq, message.change.progress);
    }
    this.#send(message);
  }

  publishPreview(message: PreviewMessage, image: Uint8Array): void {
    if (!this.#running) return;
    // on the same connection before the announcement: who hears of the picture can fetch it
    this.#keys.keepPreview(message.jobId, message.seq, message.change.preview, image);
    this.#send(message);
  }

  async subscribe(topics: readonly Topic[], options: SubscribeOptions = {}): Promise<BusSubscription> {
    const subscription = this.#listeners.add(topics, options);
    if (!this.#running) subscription.close();
    return subscription;
  }

  async latest(jobIds: readonly string[]): Promise<ReadonlyMap<string, Latest>> {
    return this.#running ? this.#keys.latest(jobIds) : new Map();
  }

  async previewImage(jobId: string): Promise<PreviewImage | null> {
    return this.#running ? this.#keys.previewImage(jobId) : null;
  }

  forget(jobId: string): void {
    if (this.#running) this.#keys.forget(jobId);
  }

  publishSurvey(survey: Survey): void {
    if (!this.#running) return;
    // on the same connection before the announcement: who hears of it can read it
    this.#survey.keep(survey);
    this.#send({ kind: 'queue', at: survey.at });
  }

  async latestSurvey(): Promise<Survey | null> {
    return this.#running ? this.#survey.read() : null;
  }

  missed(): void {
    if (this.#running) this.#channel.skip();
  }

  healthy(): boolean {
    return this.#running && this.#channel.hears();
  }

  /** Topics somebody listens to: none may be left once every subscriber is gone. */
  get topicCount(): number {
    return this.#listeners.topicCount;
  }

  #send(message: BusMessage): void {
    this.#listeners.deliver(message);
    this.#channel.send(message);
  }
}
