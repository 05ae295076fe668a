/**
 * The instances jobs run on: who belongs to the fleet, how each one is, and how to reach it. It lives as long as a term of
 * leadership, and may start again: only the process that leads has sockets to instances and asks how they are.
 */
import { randomUUID } from 'node:crypto';
import type { ComfyMessage } from '../comfyui/messages.ts';
import type { Queue } from '../comfyui/queue.ts';
import type { Config } from '../config.ts';
import type { EventBus } from '../events/bus.ts';
import type { Clock } from '../lib/clock.ts';
import { Gate } from '../lib/gate.ts';
import type { Logger } from '../lib/logger.ts';
import type { Service } from '../lib/service.ts';
import { findClientId, findInventories, findLogin } from '../store/instances.ts';
import type { Store } from '../store/open.ts';
import { saveSetting, settingOrCreate } from '../store/settings.ts';
import { EjectionCap } from './ejection-cap.ts';
import type { InstanceState } from './instance-state.ts';
import { Member } from './member.ts';
import type { MemberEvents } from './member-options.ts';
import { PANIC_SETTING } from './panic.ts';
import { registerInstances } from './registry.ts';

export interface FleetOptions {
  readonly store: Store;
  readonly bus: EventBus;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** Makes UUIDs; default random ones. */
  readonly ids?: () => string;
  readonly logger: Logger;
  readonly config: Pick<
    Config,
    | 'comfyuiInstances'
    | 'probeIntervalMs'
    | 'probeTimeoutMs'
    | 'unhealthyAfterMisses'
    | 'comfyuiWebsocket'
    | 'breakerThreshold'
    | 'breakerOpenMs'
    | 'canaryTimeoutMs'
  >;
}

export interface FleetListener extends Partial<MemberEvents> {
  /** Much fails on most instances, or that is over. */
  readonly onPanic?: () => void;
}

export interface Fleet extends Service {
  /** Names this fleet's prompts on instances that others use too; known once started. */
  readonly id: string;
  instances(): InstanceState[];
  members(): Member[];
  /** Undefined when the instance does not belong to the fleet (any more). */
  member(id: string): Member | undefined;
  /** Much fails on most instances: nothing more is put aside for it, and no attempt should be repeated. */
  readonly isPanic: boolean;
  /** Hears what happens; returns the way to stop. A listener must not throw. */
  listen(listener: FleetListener): () => void;
  /** From now on nothing is changed on any instance while `mayAct` says no; it is asked before each request. */
  actOnlyWhile(mayAct: () => boolean): void;
}

/** A fleet that comes back together is not asked for everything together. */
const DIALS_AT_ONCE = 5;
const LISTS_AT_ONCE = 4;

export function createFleet(options: FleetOptions): Fleet {
  return new InstanceFleet(options);
}

class InstanceFleet implements Fleet {
  readonly #options: FleetOptions;
  readonly #listeners = new Set<FleetListener>();
  #members: ReadonlyMap<string, Member> = new Map();
  readonly #cap: EjectionCap;
  #id = '';
  #mayAct: () => boolean = () => true;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#cap = new EjectionCap({
      ...options,
      members: () => this.members(),
      onChange: () => {
        void this.#notePanic();
        for (const listener of this.#listeners) listener.onPanic?.();
      },
    });
  }

  get id(): string {
    return this.#id;
  }

  get isPanic(): boolean {
    return this.#cap.isPanic;
  }

  instances(): InstanceState[] {
    return this.members().map((member) => member.state());
  }

  members(): Member[] {
    return [...this.#members.values()];
  }

  member(id: string): Member | undefined {
    return this.#members.get(id);
  }

  listen(listener: FleetListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  actOnlyWhile(mayAct: () => boolean): void {
    this.#mayAct = mayAct;
  }

  /** Resolves before the instances have answered: one that is down must not hold up the others. */
  async start(): Promise<void> {
    const { store, clock, config } = this.#options;
    const ids = this.#options.ids ?? randomUUID;
    this.#id = await settingOrCreate(store.db, 'fleet_id', ids);
    await this.#notePanic();
    const instances = await registerInstances(store, config.comfyuiInstances, ids, clock.now());
    const inventories = await findInventories(
      store.db,
      instances.flatMap((instance) => instance.inventoryKey ?? []),
    );
    const members = new Map<string, Member>();
    const crowd = { dials: new Gate(DIALS_AT_ONCE), lists: new Gate(LISTS_AT_ONCE) };
    for (const instance of instances) {
      const member = new Member({
        ...this.#options,
        ...crowd,
        ids,
        instance,
        inventory: inventories.get(instance.inventoryKey ?? '') ?? null,
        clientId: await findClientId(store.db, instance.id),
        login: await findLogin(store.db, instance.id),
        fleetId: this.#id,
        logger: this.#options.logger.child({ instance: instance.id }),
        probeIntervalMs: config.probeIntervalMs,
        probeTimeoutMs: config.probeTimeoutMs,
        unhealthyAfterMisses: config.unhealthyAfterMisses,
        useSocket: config.comfyuiWebsocket,
        breaker: { threshold: config.breakerThreshold, openMs: config.breakerOpenMs },
        canaryTimeoutMs: config.canaryTimeoutMs,
        spare: () => this.#cap.maySpare(instance.id),
        events: this.#events(),
        mayAct: () => this.#mayAct(),
      });
      members.set(instance.id, member);
    }
    this.#members = members;
    for (const member of members.values()) await member.start();
  }

  /** Resolves once every socket is closed; from then on nobody belongs to it, until the next start. */
  async stop(): Promise<void> {
    this.#cap.stop();
    await Promise.all(this.members().map((member) => member.stop()));
    this.#members = new Map();
  }

  /** Never rejects: what other processes say of it is not worth more. */
  async #notePanic(): Promise<void> {
    const { store, clock, logger } = this.#options;
    if (!this.#mayAct()) return;
    const since = this.#cap.isPanic ? String(clock.now()) : null;
    await saveSetting(store.db, PANIC_SETTING, since).catch((error: unknown) =>
      logger.warn({ err: error }, 'whether much fails could not be stored'),
    );
  }

  #events(): MemberEvents {
    const tell = (call: (listener: FleetListener) => void): void => {
      for (const listener of this.#listeners) call(listener);
    };
    return {
      onChange: (id) => {
        this.#cap.review();
        tell((listener) => listener.onChange?.(id));
      },
      onMessage: (id: string, message: ComfyMessage, clientId: string) =>
        tell((listener) => listener.onMessage?.(id, message, clientId)),
      onSocket: (id, change) => tell((listener) => listener.onSocket?.(id, change)),
      onQueue: (id: string, queue: Queue) => tell((listener) => listener.onQueue?.(id, queue)),
      onComeback: (id, comeback) => tell((listener) => listener.onComeback?.(id, comeback)),
    };
  }
}
