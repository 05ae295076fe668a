/**
 * What the bus over Redis runs on: a channel that every replica hears, and commands on keys. Everything here may fail at
 * any time and nothing waits: what cannot be sent at once is refused.
 */
import type { Redis } from 'ioredis';

export interface WireListener {
  readonly onText: (text: string) => void;
  /** The channel is listened to: what others publish from now on arrives. */
  readonly onListening: () => void;
  /** Commands can be sent. */
  readonly onReady: () => void;
}

export interface WireCounts {
  /** Sent, and answered with an error or not at all. */
  readonly failed: number;
  /** Why the last one failed or the connection broke. */
  readonly reason: string | null;
}

export interface Wire {
  /** Connects in the background, and again for ever. */
  start(listener: WireListener): void;
  /** Ends the connections; what is under way fails. */
  stop(): Promise<void>;
  /** The channel is listened to and commands can be sent, as far as is known. */
  isOpen(): boolean;
  /** False when it was refused: there is no connection, or too much is under way. */
  publish(text: string): boolean;
  /** Null when it was refused, as above. `bytes`: about how much is sent. The promise rejects when the connection breaks. */
  command<T>(bytes: number, run: (redis: Redis) => Promise<T>): Promise<T> | null;
  /** Gives up both connections, which look alive and are not, and makes others. */
  replace(): void;
  counts(): WireCounts;
}
