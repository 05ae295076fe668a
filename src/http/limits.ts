/** How much one client, and all of them, may hold of the gateway's memory while they do not read. */
export interface ConnectionLimits {
  /** WebSocket connections accepted in a second; as many at once. */
  readonly connectsPerSecond: number;
  /** Open WebSocket connections. */
  readonly maxSockets: number;
  /** Open subscriptions over HTTP. */
  readonly maxStreams: number;
  /** Unsent bytes of a socket from which on nothing more is produced or read for it. */
  readonly highWaterBytes: number;
  /** Unsent bytes of a socket that end it. */
  readonly maxUnsentBytes: number;
  /** A connection that takes nothing of what waits for it, or does not answer pings, ends after this time. */
  readonly stallMs: number;
  readonly pingMs: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  connectsPerSecond: 500,
  maxSockets: 20_000,
  maxStreams: 5_000,
  highWaterBytes: 2 ** 20,
  maxUnsentBytes: 4 * 2 ** 20,
  stallMs: 30_000,
  pingMs: 12_000,
};
