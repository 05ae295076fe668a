/**
 * Watches one WebSocket for a client that does not read. What waits to be sent to it is bounded:
 *
 *   up to the high-water mark     all goes its way
 *   above it                      its streams are not asked for more (they conflate), its messages are not read
 *   above the most, or when it takes nothing for the time allowed     closed, with a code after which clients come back
 *
 * While nothing waits, pings tell whether somebody is there.
 */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { ConnectionLimits } from './limits.ts';

/** "Try again later": graphql-ws, and with it Apollo, urql and Relay, connects again and repeats its subscriptions. */
export const TRY_AGAIN_LATER = 1013;
/** How long a client that is closed may take to read that. */
const CLOSE_MS = 1000;

export interface GuardParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: Pick<ConnectionLimits, 'highWaterBytes' | 'maxUnsentBytes' | 'stallMs' | 'pingMs'>;
}

export class SocketGuard {
  readonly #socket: WebSocket;
  readonly #parts: GuardParts;
  #timer: Timer;
  /** Monotonic ms. */
  #aliveAt: number;
  /** Who waits for room. */
  #waiting: (() => void)[] = [];
  #full = false;

  /** Of an open socket and the connection below it; lets go of both when the socket closes. */
  constructor(socket: WebSocket, connection: Socket, parts: GuardParts) {
    this.#socket = socket;
    this.#parts = parts;
    this.#aliveAt = parts.clock.monotonic();
    this.#timer = parts.clock.after(parts.limits.pingMs, () => this.#ping());
    for (const event of ['message', 'ping', 'pong'] as const) socket.on(event, () => this.#heard());
    connection.on('drain', () => this.#drained());
    // fires when for so long nothing was read and the system took nothing of what waits
    connection.setTimeout(parts.limits.stallMs);
    connection.on('timeout', () => this.#stalled());
    socket.once('close', () => this.#release());
  }

  /** Resolves when more may be sent, or when nothing can be any more. */
  async room(): Promise<void> {
    if (!this.#full || this.#closing()) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Before anything is sent; false when nothing more is. One large answer may be beyond all bounds, a second is not. */
  mayGrow(): boolean {
    if (this.#closing()) return false;
    if (this.#socket.bufferedAmount <= this.#parts.limits.maxUnsentBytes) return true;
    this.#end('too much waits to be sent');
    return false;
  }

  /** After anything was sent. */
  grown(): void {
    if (this.#full || this.#closing()) return;
    if (this.#socket.bufferedAmount <= this.#parts.limits.highWaterBytes) return;
    this.#full = true;
    this.#socket.pause();
  }

  #heard(): void {
    this.#aliveAt = this.#parts.clock.monotonic();
  }

  #drained(): void {
    if (!this.#full) return;
    this.#full = false;
    this.#aliveAt = this.#parts.clock.monotonic();
    this.#socket.resume();
    this.#wakeAll();
  }

  #ping(): void {
    const { clock, limits } = this.#parts;
    this.#timer = clock.after(limits.pingMs, () => this.#ping());
    // what it takes of its backlog is sign of life enough
    if (this.#closing() || this.#socket.bufferedAmount > 0) return;
    if (clock.monotonic() - this.#aliveAt > limits.stallMs) this.#end('it does not answer');
    else this.#socket.ping();
  }

  #stalled(): void {
    if (!this.#closing() && this.#socket.bufferedAmount > 0) this.#end('it does not read');
  }

  #end(reason: string): void {
    const { clock, logger } = this.#parts;
    logger.warn({ reason, unsentBytes: this.#socket.bufferedAmount }, 'a slow client is disconnected');
    this.#socket.close(TRY_AGAIN_LATER, reason);
    // a paused socket would not see the answer
    this.#socket.resume();
    this.#timer.cancel();
    this.#timer = clock.after(CLOSE_MS, () => this.#socket.terminate());
    this.#wakeAll();
  }

  #closing(): boolean {
    return this.#socket.readyState !== this.#socket.OPEN;
  }

  #release(): void {
    this.#timer.cancel();
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
