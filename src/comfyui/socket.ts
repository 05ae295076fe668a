/**
 * One instance's WebSocket, kept up: announces preview metadata before anything else, pings by itself (ComfyUI never
 * does), reconnects with full jitter, and waits for the old connection to be closed before it opens the next. ComfyUI
 * keeps one socket per client id and drops the *new* one when the old closes late: it then hears nothing any more
 * (observed on ComfyUI 0.3.64), which `lastStatusAt` lets the owner notice.
 *
 *   stopped ── start ──▶ waiting ── room, and a use ──▶ connecting ──▶ open ──▶ closing ──▶ waiting (with jitter) ...
 *      ▲────────────────────────────────────── stop ──────────────────────────────────────────────┘
 */
import WebSocket, { type RawData } from 'ws';
import { fullJitter } from '../lib/backoff.ts';
import type { Timer } from '../lib/clock.ts';
import type { Service } from '../lib/service.ts';
import { parseBinaryFrame } from './binary-frame.ts';
import {
  type ComfySocketOptions,
  SOCKET_TUNING,
  type SocketState,
  type SocketTuning,
} from './socket-options.ts';
import { socketUrl } from './socket-url.ts';
import { parseTextMessage } from './text-message.ts';

const FEATURE_FLAGS = JSON.stringify({ type: 'feature_flags', data: { supports_preview_metadata: true } });

const CROWD_JITTER_MS = 1000;

/** What belongs to one connection and ends with it. */
interface Connection {
  readonly socket: WebSocket;
  readonly clientId: string;
  openedAt: number | null;
  unanswered: number;
  ending: 'dead' | 'replaced' | 'stopped' | null;
  error: string;
  timer: Timer | undefined;
}

export class ComfySocket implements Service {
  readonly #options: ComfySocketOptions;
  readonly #tuning: SocketTuning;
  #state: SocketState = 'stopped';
  #connection: Connection | undefined;
  #retry: Timer | undefined;
  /** Gives the place among those who dial back, or ends the wait for it. */
  #leave: (() => void) | undefined;
  #failures = 0;
  #lastStatusAt: number | null = null;
  #stopped: (() => void)[] = [];

  constructor(options: ComfySocketOptions) {
    this.#options = options;
    this.#tuning = { ...SOCKET_TUNING, ...options.tuning };
  }

  get state(): SocketState {
    return this.#state;
  }

  /** The id of the present connection, also while it is being opened; null between two. */
  get clientId(): string | null {
    return this.#connection?.clientId ?? null;
  }

  /**
   * When the present connection last heard a `status` (clock.monotonic, ms); null before its first. Every enqueue causes
   * one: none within 2 s after an own POST means that the connection is deaf and should be replaced.
   */
  get lastStatusAt(): number | null {
    return this.#lastStatusAt;
  }

  async start(): Promise<void> {
    if (this.#state !== 'stopped') return;
    this.#state = 'waiting';
    this.#dial();
  }

  /** A dial that was put off may be worth its while now. */
  wake(): void {
    if (this.#state !== 'waiting' || this.#retry || this.#leave) return;
    const { dials, clock, random } = this.#options;
    // many that wake at once do not dial at once
    if (dials?.isFull) this.#retry = clock.after(random() * CROWD_JITTER_MS, () => this.#dial());
    else this.#dial();
  }

  /** Closes the present connection, waits until it is closed and opens another at once. */
  replace(): void {
    if (this.#connection) this.#end(this.#connection, 'replaced');
  }

  /** Resolves once the connection is closed and nothing will open another. */
  async stop(): Promise<void> {
    this.#retry?.cancel();
    this.#retry = undefined;
    const connection = this.#connection;
    if (!connection) {
      this.#endDial();
      this.#state = 'stopped';
      return;
    }
    const closed = new Promise<void>((resolve) => this.#stopped.push(resolve));
    this.#end(connection, 'stopped');
    await closed;
  }

  #dial(): void {
    const { dials, mayDial } = this.#options;
    this.#retry = undefined;
    if (mayDial?.() === false) return;
    if (dials) this.#leave = dials.pass(() => this.#connect());
    else this.#connect();
  }

  #endDial(): void {
    this.#leave?.();
    this.#leave = undefined;
  }

  #connect(): void {
    const { url, login } = this.#options;
    const clientId = this.#options.clientId();
    const socket = new WebSocket(socketUrl(url, clientId), {
      headers: login ? { authorization: login.basic() } : {},
      perMessageDeflate: false,
      maxPayload: this.#tuning.maxPayloadBytes,
      handshakeTimeout: this.#tuning.handshakeTimeoutMs,
    });
    const connection: Connection = {
      socket,
      clientId,
      openedAt: null,
      unanswered: 0,
      ending: null,
      error: '',
      timer: undefined,
    };
    this.#state = 'connecting';
    this.#connection = connection;
    // the library's own limit is one of silence: a server that drips its answer would never reach it
    connection.timer = this.#options.clock.after(this.#tuning.handshakeTimeoutMs, () => {
      connection.error = 'no handshake in time';
      socket.terminate();
    });
    this.#lastStatusAt = null;
    socket.on('open', () => this.#onOpen(connection));
    socket.on('message', (data, isBinary) => this.#onMessage(connection, data, isBinary));
    socket.on('pong', () => {
      connection.unanswered = 0;
      this.#options.onSignOfLife?.();
    });
    socket.on('error', (error) => {
      connection.error ||= error.message;
    });
    socket.on('close', (code) => this.#onClose(connection, code));
  }

  #onOpen(connection: Connection): void {
    // must be the first message: after any other one ComfyUI ignores the flags
    connection.socket.send(FEATURE_FLAGS);
    connection.timer?.cancel();
    connection.openedAt = this.#options.clock.monotonic();
    this.#endDial();
    this.#state = 'open';
    this.#schedulePing(connection);
    this.#guard(() => this.#options.onOpen?.(connection.clientId));
  }

  #onMessage(connection: Connection, data: RawData, isBinary: boolean): void {
    if (connection.ending) return;
    connection.unanswered = 0;
    this.#options.onSignOfLife?.();
    this.#guard(() => {
      const bytes = wholeBuffer(data);
      const message = isBinary ? parseBinaryFrame(bytes) : parseTextMessage(bytes.toString('utf8'));
      if (message.kind === 'status') this.#lastStatusAt = this.#options.clock.monotonic();
      this.#options.onMessage(message, connection.clientId);
    });
  }

  #onClose(connection: Connection, code: number): void {
    connection.timer?.cancel();
    this.#endDial();
    this.#connection = undefined;
    this.#lastStatusAt = null;
    const { ending, clientId, openedAt } = connection;
    this.#state = ending === 'stopped' ? 'stopped' : 'waiting';
    this.#guard(() =>
      this.#options.onClose?.({
        clientId,
        wasOpen: openedAt !== null,
        reason: ending ?? 'lost',
        code,
        message: connection.error,
      }),
    );
    if (ending === 'stopped') {
      for (const resolve of this.#stopped.splice(0)) resolve();
      return;
    }
    // the callback above may have stopped this socket
    if (this.#state === 'waiting')
      this.#retry = this.#options.clock.after(this.#delay(connection), () => this.#dial());
  }

  #delay(connection: Connection): number {
    const { clock, random } = this.#options;
    const lasted = connection.openedAt === null ? 0 : clock.monotonic() - connection.openedAt;
    if (lasted >= this.#tuning.steadyMs) this.#failures = 0;
    if (connection.ending === 'replaced') return 0;
    this.#failures++;
    return fullJitter(this.#failures, this.#tuning.backoff, random);
  }

  #schedulePing(connection: Connection): void {
    connection.timer = this.#options.clock.after(this.#tuning.pingIntervalMs, () => {
      if (connection.unanswered >= this.#tuning.missedPings) {
        this.#end(connection, 'dead');
        return;
      }
      connection.unanswered++;
      connection.socket.ping();
      this.#schedulePing(connection);
    });
  }

  /** Closes politely where that can work, so that ComfyUI forgets the id before it is used again; cuts otherwise. */
  #end(connection: Connection, reason: 'dead' | 'replaced' | 'stopped'): void {
    const { socket } = connection;
    const alreadyEnding = connection.ending !== null;
    if (connection.ending !== 'stopped') connection.ending = reason;
    if (alreadyEnding) return;
    this.#state = 'closing';
    connection.timer?.cancel();
    if (reason === 'dead' || socket.readyState !== WebSocket.OPEN) {
      socket.terminate();
      return;
    }
    socket.close(1000);
    connection.timer = this.#options.clock.after(this.#tuning.closeTimeoutMs, () => socket.terminate());
  }

  /** Event handlers must not throw: nobody above them could catch it. */
  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#options.logger.error({ err: error }, 'a handler of a ComfyUI socket failed');
    }
  }
}

function wholeBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
