/** What an instance of the fleet is made of, and whom it tells what happens. */
import type { OnComfyRequest } from '../comfyui/http-transport.ts';
import type { ComfyMessage } from '../comfyui/messages.ts';
import type { Queue } from '../comfyui/queue.ts';
import type { Inventory } from '../domain/capabilities.ts';
import type { Instance } from '../domain/instance.ts';
import type { EventBus } from '../events/bus.ts';
import type { Login } from '../lib/address.ts';
import type { Clock } from '../lib/clock.ts';
import type { Gate } from '../lib/gate.ts';
import type { Logger } from '../lib/logger.ts';
import type { Store } from '../store/open.ts';
import type { BreakerTuning } from './breaker.ts';
import type { Comeback } from './life-signs.ts';
import type { Source } from './panic.ts';

export interface MemberOptions {
  readonly instance: Instance;
  readonly inventory: Inventory | null;
  /** What the instance asks for before it answers. */
  readonly login: Login | null;
  /** The client id stored by an earlier process; null for none. */
  readonly clientId: string | null;
  readonly fleetId: string;
  readonly store: Store;
  readonly bus: EventBus;
  readonly clock: Clock;
  readonly random: () => number;
  readonly ids: () => string;
  readonly logger: Logger;
  readonly onRequest?: OnComfyRequest | undefined;
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
  readonly unhealthyAfterMisses: number;
  readonly inventoryRefreshMs: number;
  /** False: no socket at all, everything is found out by asking. */
  readonly useSocket: boolean;
  readonly breaker: BreakerTuning;
  readonly canaryTimeoutMs: number;
  /** The fleet can spare this instance; asked only when it is about to be put aside for what jobs say of it. */
  readonly spare: (source: Source) => boolean;
  readonly events: MemberEvents;
  /** This process leads; while it does not, nothing is changed on the instance, only asked. */
  readonly mayAct: () => boolean;
  /** So many sockets of the fleet dial at once. */
  readonly dials: Gate;
  /** So many instances of the fleet are asked for their lists at once. */
  readonly lists: Gate;
}

/** Called in turn; a listener must not throw. */
export interface MemberEvents {
  /** What is seen of it changed, or an answer that somebody waited for came. */
  readonly onChange: (id: string) => void;
  readonly onMessage: (id: string, message: ComfyMessage, clientId: string) => void;
  /** The socket opened or closed; `gone`: the other side went away, so it may have restarted. */
  readonly onSocket: (id: string, change: 'open' | 'closed' | 'gone') => void;
  /** Its queue was read. */
  readonly onQueue: (id: string, queue: Queue) => void;
  /** It answers again, or for the first time, or was restarted so quickly that nobody missed it. */
  readonly onComeback: (id: string, comeback: Comeback) => void;
}
