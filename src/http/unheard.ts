/**
 * Connections that were accepted and have said nothing yet. Node takes them for idle ones, and ends them first when it stops;
 * but behind a proxy, their request is as a rule on its way already.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import { type Clock, pause } from '../lib/clock.ts';

/** Browsers open connections that they may never use, so nothing waits long for these. */
const HEARD_WITHIN_MS = 250;
/** Under a load that never pauses, some of those who wait at the door are turned away in the end. */
const PAUSE_WITHIN_MS = 1000;

export class UnheardConnections {
  readonly #sockets = new Set<Socket>();
  #accepted = 0;

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      this.#accepted += 1;
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    const heard = ({ socket }: IncomingMessage) => this.#sockets.delete(socket);
    server.prependListener('request', heard);
    server.prependListener('upgrade', heard);
  }

  /**
   * Resolves at a moment when nobody waits to be accepted: the system resets those who do when the listener is closed. The
   * event loop accepts one in a turn, so a turn without any tells.
   */
  async nobodyWaits(clock: Clock): Promise<void> {
    const until = clock.monotonic() + PAUSE_WITHIN_MS;
    let before: number;
    do {
      before = this.#accepted;
      await new Promise(setImmediate);
    } while (this.#accepted !== before && clock.monotonic() < until);
  }

  /** Resolves when the requests of all that are open have begun, or a moment has passed. */
  async heard(clock: Clock): Promise<void> {
    const until = clock.monotonic() + HEARD_WITHIN_MS;
    while (this.#sockets.size > 0 && clock.monotonic() < until) await pause(clock, 5);
  }
}
