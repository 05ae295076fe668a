/**
 * The event bus: how news travels from the scheduler to subscriptions, and hints back. It carries freshness only, the
 * rows are the truth; so it may drop messages, but says so with a gap. Its contract suite runs on every implementation.
 */
import type { Preview, Progress } from '../domain/job.ts';
import type { Survey } from '../domain/survey.ts';
import type { Service } from '../lib/service.ts';
import type { BusMessage, PreviewMessage } from './messages.ts';
import type { Topic } from './topics.ts';

/**
 * What a subscriber reads. `gap`: messages were dropped, perhaps many; take a fresh snapshot (rows, `latest`) and the event
 * rows after your cursor, then read on.
 */
export type BusSignal = BusMessage | { readonly kind: 'gap' };

/** What one subscriber reads. Ends (`done`) by close(), by its abort signal, or when the bus stops. */
export interface BusSubscription extends AsyncIterableIterator<BusSignal, undefined, undefined> {
  /** Ends it at once: a pending next() resolves as done, unread messages are dropped. Closing twice is fine. */
  close(): void;
  /** The same as close(). */
  return(): Promise<IteratorReturnResult<undefined>>;
}

export interface SubscribeOptions {
  /** Most messages held for a reader that lags, at least 1; default 256. */
  readonly limit?: number;
  /** Closes the subscription when aborted. */
  readonly signal?: AbortSignal;
}

/** The newest live news of a job; null where none is kept. */
export interface Latest {
  readonly progress: Progress | null;
  readonly preview: Preview | null;
  /** Cursor of the job's newest durable event when this was said. */
  readonly seq: number;
}

/** A preview picture and what is known of it. */
export interface PreviewImage {
  readonly image: Uint8Array;
  readonly preview: Preview;
}

export interface EventBus extends Service {
  /** Sends to whoever listens now. Never throws, never waits on a subscriber; after stop it does nothing. */
  publish(message: BusMessage): void;
  /** Publishes a preview and keeps the bytes (copied) as the job's newest picture until `forget`. */
  publishPreview(message: PreviewMessage, image: Uint8Array): void;
  /**
   * Resolves when listening is confirmed: what is published from then on arrives. Listen first, read the snapshot second.
   * A bus that does not run, or an aborted signal, answers a subscription that has already ended.
   */
  subscribe(topics: readonly Topic[], options?: SubscribeOptions): Promise<BusSubscription>;
  /** The newest progress and preview of those of the jobs that have any. */
  latest(jobIds: readonly string[]): Promise<ReadonlyMap<string, Latest>>;
  /** The newest picture of a running job. */
  previewImage(jobId: string): Promise<PreviewImage | null>;
  /** The job's run ended: drops its progress and preview. Call it after the last publish of that run. */
  forget(jobId: string): void;
  /** Keeps the newest picture of the queue for a while, and tells that the queue changed. */
  publishSurvey(survey: Survey): void;
  /** The newest picture of the queue; null when there is none of late. */
  latestSurvey(): Promise<Survey | null>;
  /** A change may have been made of which nothing can be told: everybody who listens, on any replica, is told of a gap. */
  missed(): void;
  /** Messages can travel at this moment. */
  healthy(): boolean;
}
