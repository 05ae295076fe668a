/** The wire over two connections to one Redis: one listens to the channel, one publishes and handles keys. */
import type { Redis } from 'ioredis';
import type { Clock } from '../lib/clock.ts';
import { RedisConnection, reasonOf } from './redis-connection.ts';
import type { Wire, WireCounts, WireListener } from './wire.ts';

export interface RedisWireOptions {
  readonly url: string;
  readonly channel: string;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Under way at once: a server that does not answer costs no more memory than this. */
const MAX_COMMANDS = 10_000;
const MAX_BYTES = 16 * 1024 * 1024;

export class RedisWire implements Wire {
  readonly #channel: string;
  readonly #sender: RedisConnection;
  readonly #receiver: RedisConnection;
  #listener: WireListener | undefined;
  #listening = false;
  #commands = 0;
  #bytes = 0;
  #counts: WireCounts = { failed: 0, reason: null };

  constructor({ url, channel, clock, random }: RedisWireOptions) {
    this.#channel = channel;
    const onError = (error: unknown): void => this.#note(error);
    this.#sender = new RedisConnection({
      url,
      clock,
      random,
      name: 'comfyfleet-send',
      onReady: () => this.#listener?.onReady(),
      onClose: () => undefined,
      onError,
    });
    this.#receiver = new RedisConnection({
      url,
      clock,
      random,
      name: 'comfyfleet-listen',
      onReady: () => void this.#listen(),
      onClose: () => {
        this.#listening = false;
      },
      onError,
    });
    this.#receiver.redis.on('message', (_channel: string, text: string) => this.#listener?.onText(text));
  }

  start(listener: WireListener): void {
    this.#listener = listener;
    this.#receiver.connect();
    this.#sender.connect();
  }

  async stop(): Promise<void> {
    this.#listener = undefined;
    await Promise.all([this.#sender.stop(), this.#receiver.stop()]);
  }

  isOpen(): boolean {
    return this.#listening && this.#receiver.ready && this.#sender.ready;
  }

  publish(text: string): boolean {
    const sent = this.command(text.length, (redis) => redis.publish(this.#channel, text));
    sent?.catch(() => undefined);
    return sent !== null;
  }

  command<T>(bytes: number, run: (redis: Redis) => Promise<T>): Promise<T> | null {
    const full = this.#commands >= MAX_COMMANDS || this.#bytes + bytes > MAX_BYTES;
    return full || !this.#sender.ready ? null : this.#run(bytes, run);
  }

  replace(): void {
    this.#listening = false;
    this.#sender.replace();
    this.#receiver.replace();
  }

  counts(): WireCounts {
    return this.#counts;
  }

  async #run<T>(bytes: number, run: (redis: Redis) => Promise<T>): Promise<T> {
    this.#commands++;
    this.#bytes += bytes;
    try {
      return await run(this.#sender.redis);
    } catch (error) {
      this.#counts = { ...this.#counts, failed: this.#counts.failed + 1 };
      this.#note(error);
      throw error;
    } finally {
      this.#commands--;
      this.#bytes -= bytes;
    }
  }

  async #listen(): Promise<void> {
    try {
      await this.#receiver.redis.subscribe(this.#channel);
      this.#listening = true;
      this.#listener?.onListening();
    } catch (error) {
      this.#note(error);
      this.#receiver.replace();
    }
  }

  #note(error: unknown): void {
    this.#counts = { ...this.#counts, reason: reasonOf(error) };
  }
}
