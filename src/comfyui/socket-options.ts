/** What the owner of a ComfyUI socket decides about it, and what it is told. */
import type { Login } from '../lib/address.ts';
import type { BackoffBounds } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import type { Gate } from '../lib/gate.ts';
import type { Logger } from '../lib/logger.ts';
import type { ComfyMessage } from './messages.ts';

export interface ComfySocketOptions {
  /** Base URL of the instance, http or https. */
  readonly url: string;
  /** Sent with the handshake. */
  readonly login?: Login | null;
  /** Asked anew for each connection, so that the owner decides whether an id is used again. */
  readonly clientId: () => string;
  readonly clock: Clock;
  /** Numbers in [0, 1), for the jitter. */
  readonly random: () => number;
  readonly logger: Logger;
  /** Shared by the sockets of a fleet: so many dial at once. */
  readonly dials?: Gate;
  /** False while a dial is in vain; it is then put off until `wake`. Default true. */
  readonly mayDial?: () => boolean;
  readonly onMessage: (message: ComfyMessage, clientId: string) => void;
  /** A message or a pong came: somebody is there. */
  readonly onSignOfLife?: () => void;
  /** The handshake is done and the feature flags are sent. */
  readonly onOpen?: (clientId: string) => void;
  /** A connection or a try to get one is over, before the next one. */
  readonly onClose?: (close: SocketClose) => void;
  readonly tuning?: Partial<SocketTuning>;
}

export interface SocketTuning {
  readonly pingIntervalMs: number;
  /** Unanswered pings after which the connection counts as dead. */
  readonly missedPings: number;
  readonly handshakeTimeoutMs: number;
  /** Largest message taken, in bytes; a larger one ends the connection. Results of 6 MB were seen. */
  readonly maxPayloadBytes: number;
  readonly backoff: BackoffBounds;
  /** A connection that lasted this long starts the backoff anew. */
  readonly steadyMs: number;
  /** How long a polite close may take before the connection is cut. */
  readonly closeTimeoutMs: number;
}

export interface SocketClose {
  readonly clientId: string;
  /** False when the handshake had not succeeded. */
  readonly wasOpen: boolean;
  /** `lost`: the other side or the network; `dead`: pings unanswered; `replaced` and `stopped`: asked for. */
  readonly reason: 'lost' | 'dead' | 'replaced' | 'stopped';
  /** WebSocket close code, 1006 for an abrupt end. */
  readonly code: number;
  /** For a log; '' when there is nothing to say. */
  readonly message: string;
}

export type SocketState = 'stopped' | 'connecting' | 'open' | 'closing' | 'waiting';

export const SOCKET_TUNING: SocketTuning = {
  pingIntervalMs: 10_000,
  missedPings: 2,
  handshakeTimeoutMs: 5000,
  maxPayloadBytes: 256 * 1024 * 1024,
  backoff: { baseMs: 250, capMs: 15_000 },
  steadyMs: 10_000,
  closeTimeoutMs: 1000,
};
