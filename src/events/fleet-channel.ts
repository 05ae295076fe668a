/**
 * The one channel that all replicas of a fleet publish to and hear. It may lose anything at any time; what is missed is
 * noticed and told as a gap: a hole in the numbers of a publisher, a publisher that fell silent, a connection that was
 * away. While nothing can be heard there is a gap every few seconds, so that reading rows carries subscribers on.
 *
 *   cut off ── listening is confirmed, own beat heard ──▶ hearing ── connection lost, or no own beat ──▶ cut off
 */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Loop } from '../lib/loop.ts';
import type { Service } from '../lib/service.ts';
import { BusReport } from './bus-report.ts';
import type { OnDropped } from './dropped.ts';
import { type Envelope, open, seal } from './envelope.ts';
import { inTime } from './in-time.ts';
import type { BusMessage } from './messages.ts';
import { Publishers } from './publishers.ts';
import { Throttle } from './throttle.ts';
import type { Wire } from './wire.ts';

export interface FleetChannelParts {
  readonly wire: Wire;
  readonly clock: Clock;
  readonly ids: () => string;
  readonly logger: Logger;
  readonly random: () => number;
  readonly onDropped?: OnDropped | undefined;
}

export interface ChannelListener {
  /** A message of another replica; each comes once and in its publisher's order. */
  readonly onMessage: (message: BusMessage) => void;
  /** Messages may have been lost. */
  readonly onGap: () => void;
  /** Now and then while all is well. */
  readonly onCalm: () => void;
}

const BEAT_MS = 1000;
/** Without a beat of our own for so long, both connections are taken for dead. */
const DEAF_MS = 4000;
/** At most one gap in so long, however much is lost: each makes every subscriber read rows. */
const GAP_PAUSE_MS = 1000;
/** While cut off: a gap after so long, and up to as much more. */
const AWAY_GAP_MS = 2000;
const START_WITHIN_MS = 2000;
const BYE_WITHIN_MS = 500;

export class FleetChannel implements Service {
  readonly #parts: FleetChannelParts;
  readonly #listener: ChannelListener;
  readonly #id: string;
  /** How every message of our own begins that comes back. */
  readonly #echo: string;
  readonly #publishers = new Publishers();
  readonly #report: BusReport;
  readonly #gaps: Throttle;
  readonly #beats: Loop;
  /** Messages that we wanted to send so far. */
  #n = 0;
  /** Monotonic ms, as all times here: when our own beat was last heard, or listening began. */
  #heardAt = 0;
  #hears = false;
  #steppedAt = 0;
  #awayGapAt = 0;
  #onHearing: () => void = () => undefined;

  constructor(parts: FleetChannelParts, listener: ChannelListener) {
    const { clock, logger } = parts;
    this.#parts = parts;
    this.#listener = listener;
    this.#id = parts.ids();
    this.#echo = `{"v":1,"type":"news","from":${JSON.stringify(this.#id)}`;
    this.#report = new BusReport(logger, clock, parts.onDropped);
    this.#gaps = new Throttle(clock, GAP_PAUSE_MS, () => listener.onGap());
    const step = async (): Promise<void> => this.#step();
    this.#beats = new Loop({ name: 'bus', intervalMs: BEAT_MS, step, clock, logger });
  }

  /** Resolves once messages travel, or after a moment without: Redis may come later. */
  async start(): Promise<void> {
    const { wire, clock } = this.#parts;
    this.#steppedAt = clock.monotonic();
    const hearing = new Promise<true>((resolve) => {
      this.#onHearing = () => resolve(true);
    });
    wire.start({
      onText: (text) => this.#hear(text),
      onListening: () => this.#listens(),
      onReady: () => this.#say('beat'),
    });
    await inTime(clock, START_WITHIN_MS, hearing);
    this.#report.connected(this.hears(), wire.counts());
    await this.#beats.start();
  }

  async stop(): Promise<void> {
    const { wire, clock } = this.#parts;
    this.#hears = false;
    this.#gaps.cancel();
    await this.#beats.stop();
    this.#say('bye');
    // answered after all that was published before it
    await inTime(
      clock,
      BYE_WITHIN_MS,
      wire.command(0, (redis) => redis.ping()),
    );
    await wire.stop();
    this.#gaps.cancel();
  }

  /** To all other replicas. It is dropped when it cannot leave now, and missed by them. */
  send(message: BusMessage): void {
    const text = seal({ type: 'news', from: this.#id, n: this.#n + 1, message });
    if (text === null) {
      // only commentary is ever so long, and nobody is promised all of that
      this.#report.count('tooLarge');
      return;
    }
    this.#n++;
    if (!this.#parts.wire.publish(text)) this.#report.count('refused');
  }

  /** Counts a message that nobody gets, so that all others miss it; listeners here are told of the gap at once. */
  skip(): void {
    this.#n++;
    this.#gaps.ask();
  }

  /** What is published arrives here at this moment, as far as is known. */
  hears(): boolean {
    const { wire, clock } = this.#parts;
    return this.#hears && wire.isOpen() && clock.monotonic() - this.#heardAt < DEAF_MS;
  }

  #say(type: 'beat' | 'bye'): void {
    this.#parts.wire.publish(seal({ type, from: this.#id, n: this.#n }) ?? '');
  }

  /** From now on all arrives; what went by before is lost. */
  #listens(): void {
    const now = this.#parts.clock.monotonic();
    this.#heardAt = now;
    this.#publishers.excuse(now);
    this.#gaps.ask();
    this.#say('beat');
  }

  #hear(text: string): void {
    if (text.startsWith(this.#echo)) return;
    const opened = open(text);
    switch (opened.type) {
      case 'malformed':
        this.#report.count('malformed');
        return;
      case 'foreign':
        // an older or newer replica has news that only the rows can tell
        this.#report.count('foreign');
        this.#gaps.ask();
        return;
      default:
        if (opened.from === this.#id) this.#hearSelf();
        else this.#hearOther(opened);
    }
  }

  #hearSelf(): void {
    this.#heardAt = this.#parts.clock.monotonic();
    this.#hears = true;
    this.#onHearing();
  }

  #hearOther(envelope: Envelope): void {
    const { from, n, type } = envelope;
    const now = this.#parts.clock.monotonic();
    const hearing =
      type === 'news' ? this.#publishers.news(from, n, now) : this.#publishers.beat(from, n, now);
    if (type === 'bye') this.#publishers.forget(from);
    if (hearing === 'hole') this.#gaps.ask();
    if (type === 'news' && hearing !== 'old') this.#listener.onMessage(envelope.message);
  }

  #step(): void {
    const { wire, clock } = this.#parts;
    const now = clock.monotonic();
    const stoodStill = now - this.#steppedAt > 2 * BEAT_MS;
    this.#steppedAt = now;
    this.#say('beat');
    if (stoodStill) {
      this.#heardAt = now;
      this.#publishers.excuse(now);
    }
    if (wire.isOpen() && now - this.#heardAt >= DEAF_MS) this.#reconnect(now);
    if (this.#publishers.fellSilent(now)) this.#gaps.ask();
    this.#judge(now);
  }

  #reconnect(now: number): void {
    this.#report.deaf();
    this.#hears = false;
    this.#heardAt = now;
    this.#parts.wire.replace();
  }

  #judge(now: number): void {
    const { wire, random } = this.#parts;
    const hears = this.hears();
    if (hears) {
      this.#awayGapAt = now + random() * AWAY_GAP_MS;
      this.#listener.onCalm();
    } else if (now >= this.#awayGapAt) {
      this.#awayGapAt = now + AWAY_GAP_MS * (1 + random());
      this.#gaps.ask();
    }
    this.#report.connected(hears, wire.counts());
    this.#report.losses(wire.counts());
  }
}
