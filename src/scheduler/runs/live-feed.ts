/**
 * Tells the bus what happens in one run, live. Slowed down only where a node would flood everybody: a burst is let
 * through, so that every step of a fast sampler is seen, then so many a second, and the newest always gets out.
 */
import type { Preview } from '../../domain/job.ts';
import type { LiveEvent } from '../../domain/job-event.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { RunBus } from '../fenced-bus.ts';

export interface FeedSubject {
  readonly jobId: string;
  readonly tenant: string;
  readonly createdAt: number;
  /** Cursor of the job's newest durable event. */
  readonly seq: () => number;
}

interface Rate {
  /** Let through at once after a rest. */
  readonly burst: number;
  readonly perSecond: number;
}

const PROGRESS: Rate = { burst: 64, perSecond: 50 };
const PICTURES: Rate = { burst: 16, perSecond: 10 };
const COMMENTARY: Rate = { burst: 100, perSecond: 50 };

/** Lets the newest of what is offered through at a bounded rate. */
class Valve<T> {
  readonly #clock: Clock;
  readonly #rate: Rate;
  readonly #emit: (value: T) => void;
  #tokens: number;
  #filledAt: number;
  #held: { readonly value: T } | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, rate: Rate, emit: (value: T) => void) {
    this.#clock = clock;
    this.#rate = rate;
    this.#emit = emit;
    this.#tokens = rate.burst;
    this.#filledAt = clock.monotonic();
  }

  offer(value: T): void {
    if (this.#timer) {
      this.#held = { value };
      return;
    }
    this.#refill();
    if (this.#tokens >= 1) {
      this.#tokens--;
      this.#emit(value);
      return;
    }
    this.#held = { value };
    this.#timer = this.#clock.after(1000 / this.#rate.perSecond, () => this.flush());
  }

  /** Lets out what is held. */
  flush(): void {
    const held = this.#held;
    this.drop();
    if (held) this.#emit(held.value);
  }

  /** Forgets what is held. */
  drop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#held = undefined;
  }

  #refill(): void {
    const now = this.#clock.monotonic();
    const gained = ((now - this.#filledAt) / 1000) * this.#rate.perSecond;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + gained);
    this.#filledAt = now;
  }
}

export class LiveFeed {
  readonly #bus: Pick<RunBus, 'publish' | 'publishPreview'>;
  readonly #clock: Clock;
  readonly #subject: FeedSubject;
  readonly #progress: Valve<LiveEvent>;
  readonly #pictures: Valve<{ mimeType: string; image: Uint8Array }>;
  readonly #commentary: Valve<LiveEvent>;
  #revision = 0;
  #closed = false;

  constructor(bus: Pick<RunBus, 'publish' | 'publishPreview'>, clock: Clock, subject: FeedSubject) {
    this.#bus = bus;
    this.#clock = clock;
    this.#subject = subject;
    this.#progress = new Valve(clock, PROGRESS, (event) => this.#publish(event));
    this.#commentary = new Valve(clock, COMMENTARY, (event) => this.#publish(event));
    this.#pictures = new Valve(clock, PICTURES, (picture) => this.#publishPicture(picture));
  }

  event(event: Exclude<LiveEvent, { type: 'preview' }>): void {
    if (this.#closed) return;
    if (event.type === 'progress') this.#progress.offer(event);
    else if (event.type === 'comfy') this.#commentary.offer(event);
    else this.#publish(event);
  }

  /** The bytes may be a view of a buffer; they are not changed afterwards. */
  picture(mimeType: string, image: Uint8Array): void {
    if (!this.#closed) this.#pictures.offer({ mimeType, image });
  }

  /** Lets out what is held back and says nothing more; the caller then ends the run in the rows. */
  close(): void {
    if (this.#closed) return;
    this.#progress.flush();
    this.#commentary.flush();
    this.#pictures.flush();
    this.#closed = true;
  }

  /** Says nothing more, not even what is held back: the job is not wanted any more. */
  silence(): void {
    this.#closed = true;
    this.#progress.drop();
    this.#commentary.drop();
    this.#pictures.drop();
  }

  #publish(event: LiveEvent): void {
    this.#bus.publish({ ...this.#head(), change: event });
  }

  #publishPicture({ mimeType, image }: { mimeType: string; image: Uint8Array }): void {
    const head = this.#head();
    // grows over attempts and restarts too, without being stored anywhere
    this.#revision = Math.max(this.#revision + 1, head.at - this.#subject.createdAt);
    const preview: Preview = { revision: this.#revision, mimeType, at: head.at };
    this.#bus.publishPreview({ ...head, change: { type: 'preview', preview } }, image);
  }

  #head(): { kind: 'job'; jobId: string; tenant: string; seq: number; at: number } {
    const { jobId, tenant, seq } = this.#subject;
    return { kind: 'job', jobId, tenant, seq: seq(), at: this.#clock.now() };
  }
}
