/**
 * One instance's socket with the client id it is heard under: which id the next connection takes, whether it is deaf,
 * whether it has been down for long. It only makes things fresh; nothing is lost without it.
 */
import { shorten } from '../comfyui/http-failure.ts';
import type { ComfyMessage } from '../comfyui/messages.ts';
import { ComfySocket } from '../comfyui/socket.ts';
import type { SocketClose } from '../comfyui/socket-options.ts';
import type { Login } from '../lib/address.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Gate } from '../lib/gate.ts';
import type { Logger } from '../lib/logger.ts';
import type { Service } from '../lib/service.ts';
import { setClientId } from '../store/instances.ts';
import type { Store } from '../store/open.ts';
import { nextClientId } from './client-id.ts';

export interface HearingOptions {
  readonly instanceId: string;
  readonly url: string;
  readonly login: Login | null;
  /** The client id stored by an earlier process; null for none. */
  readonly clientId: string | null;
  /** False: no socket at all, everything is found out by asking. */
  readonly useSocket: boolean;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: () => number;
  readonly ids: () => string;
  readonly logger: Logger;
  /** Shared by the fleet: so many dial at once. */
  readonly dials: Gate;
  /** It answers HTTP: a dial is worth a try. */
  readonly answering: () => boolean;
  /** This process leads: another one may have a socket under the same client id otherwise. */
  readonly mayAct: () => boolean;
  /** Prompts posted with this id are in the instance's queue. */
  readonly isQueued: (clientId: string | null) => boolean;
  readonly onMessage: (message: ComfyMessage, clientId: string) => void;
  /** Somebody is there. */
  readonly onSignOfLife: () => void;
  /** `gone`: the other side went away, so it may have restarted. */
  readonly onChange: (change: 'open' | 'closed' | 'gone') => void;
}

/** A client id in use; a reconnect takes it again until `done` is called. */
export interface ClientIdTicket {
  readonly clientId: string;
  done(): void;
}

/** A socket that has been down for longer is worth mentioning. */
const DOUBT_MS = 3000;
/** Every enqueue makes ComfyUI send `status` to all sockets; one that hears none is deaf. */
const DEAF_AFTER_MS = 2000;

export class Hearing implements Service {
  readonly #options: HearingOptions;
  readonly #socket: ComfySocket;
  readonly #deafTimers = new Set<Timer>();
  #clientId: string | null;
  #clientIdUsed: boolean;
  #clientIdSuspect = false;
  /** The present id is of an earlier process, which may still have a socket under it: frozen, or cut off from us. */
  #isInherited: boolean;
  #tickets = 0;
  #downSince: number | null;
  /** One line; '' while nothing is known. */
  #downBecause = '';
  #previewsHaveMetadata = false;
  /** The first dial has come to something. */
  #dialed = false;
  #running = false;

  constructor(options: HearingOptions) {
    const { url, login, clock, random, logger, dials, answering, mayAct, onSignOfLife } = options;
    this.#options = options;
    this.#clientId = options.clientId;
    this.#clientIdUsed = this.#isInherited = options.clientId !== null;
    this.#downSince = options.useSocket ? clock.monotonic() : null;
    this.#socket = new ComfySocket({
      url,
      login,
      clock,
      random,
      logger,
      dials,
      mayDial: () => answering() && mayAct(),
      clientId: () => this.#chooseClientId(),
      onMessage: (message, clientId) => this.#heard(message, clientId),
      onSignOfLife,
      onOpen: () => this.#opened(),
      onClose: (close) => this.#closed(close),
    });
  }

  get isOpen(): boolean {
    return this.#socket.state === 'open';
  }

  /** Not open, but a dial is under way or about to begin: waiting a moment may be worth it. */
  get isDialing(): boolean {
    return this.#options.useSocket && (this.#socket.state === 'connecting' || !this.#dialed);
  }

  /** The server agreed to name the prompt of each preview, so a picture without a name is a result. */
  get previewsHaveMetadata(): boolean {
    return this.#previewsHaveMetadata;
  }

  /** Messages of prompts posted with this id arrive. */
  hears(clientId: string): boolean {
    return this.isOpen && this.#socket.clientId === clientId;
  }

  /** What is amiss once it has been down for longer than a reconnect takes, one line; else null. */
  get trouble(): string | null {
    const since = this.#downSince;
    if (since === null || this.#options.clock.monotonic() - since < DOUBT_MS) return null;
    const why = this.#downBecause && ` (${this.#downBecause})`;
    return `its WebSocket is down${why}; jobs run, but live progress is missing`;
  }

  /** The client id to post with. */
  takeTicket(): ClientIdTicket {
    const clientId = this.#clientId ?? this.#newClientId();
    this.#tickets++;
    let open = true;
    return {
      clientId,
      done: () => {
        if (open) this.#tickets--;
        open = false;
      },
    };
  }

  /**
   * No prompt of ours is on the instance and one is about to be: it should not depend on an id that an earlier process used,
   * since that one's socket would silence ours when it closes. Takes a moment, in which `isDialing`.
   */
  renew(): void {
    if (!this.#isInherited || this.#tickets > 0 || !this.isOpen) return;
    this.#clientIdSuspect = true;
    this.#dialed = false;
    this.#socket.replace();
  }

  /** A prompt was queued at this moment (monotonic ms): the socket must hear of it, or it is deaf and is replaced. */
  expectStatus(postedAt: number): void {
    const { clock, logger } = this.#options;
    const socket = this.#socket;
    const { clientId } = socket;
    if (!this.isOpen || clientId === null) return;
    const timer = clock.after(DEAF_AFTER_MS, () => {
      this.#deafTimers.delete(timer);
      if (!this.hears(clientId) || (socket.lastStatusAt ?? 0) >= postedAt) return;
      logger.warn('the socket of an instance is deaf and is replaced');
      this.#clientIdSuspect = true;
      socket.replace();
    });
    this.#deafTimers.add(timer);
  }

  /** The instance answered: a dial that was put off may be worth its while. */
  wake(): void {
    this.#socket.wake();
  }

  async start(): Promise<void> {
    if (!this.#options.useSocket) return;
    this.#running = true;
    await this.#socket.start();
  }

  async stop(): Promise<void> {
    this.#running = false;
    for (const timer of this.#deafTimers) timer.cancel();
    this.#deafTimers.clear();
    await this.#socket.stop();
  }

  #chooseClientId(): string {
    const chosen = nextClientId(
      {
        last: this.#clientId,
        wasUsed: this.#clientIdUsed,
        inUse: this.#tickets > 0 || this.#options.isQueued(this.#clientId),
        suspect: this.#clientIdSuspect,
      },
      () => this.#newClientId(),
    );
    this.#clientIdSuspect = false;
    return chosen;
  }

  #newClientId(): string {
    const { ids, store, logger, instanceId, mayAct } = this.#options;
    const clientId = ids();
    this.#clientId = clientId;
    this.#clientIdUsed = false;
    this.#isInherited = false;
    if (!mayAct()) return clientId;
    // losing this write only costs a successor the live progress of what runs now
    setClientId(store.db, instanceId, clientId).catch((error: unknown) =>
      logger.warn({ err: error }, 'a client id could not be stored'),
    );
    return clientId;
  }

  #heard(message: ComfyMessage, clientId: string): void {
    if (message.kind === 'featureFlags') this.#previewsHaveMetadata = message.supportsPreviewMetadata;
    this.#options.onMessage(message, clientId);
  }

  #opened(): void {
    this.#dialed = true;
    this.#clientIdUsed = true;
    this.#downSince = null;
    this.#options.onChange('open');
  }

  #closed(close: SocketClose): void {
    if (close.reason !== 'replaced') this.#dialed = true;
    if (!this.#running) return;
    this.#downSince ??= this.#options.clock.monotonic();
    this.#downBecause = whyDown(close);
    if (!close.wasOpen) return;
    if (close.reason === 'dead') this.#clientIdSuspect = true;
    this.#options.onChange(close.reason === 'replaced' ? 'closed' : 'gone');
  }
}

function whyDown({ message }: SocketClose): string {
  const [, status] = /^Unexpected server response: (\d+)/.exec(message) ?? [];
  if (status === undefined) return shorten(message);
  const advice = Number(status) < 500 ? ': a proxy before the instance must pass Upgrade' : '';
  return `its handshake was answered with status ${status}${advice}`;
}
