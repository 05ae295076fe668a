/**
 * The instances jobs run on: who belongs to the fleet, how each one is, and how to reach it. It lives as long as a term of
 * leadership, and may start again: only the process that leads has sockets to instances and asks how they are.
 */
import { randomUUID } from 'node:crypto';
import type { OnComfyRequest } from '../comfyui/http-transport.ts';
import type { ComfyMessage } from '../comfyui/messages.ts';
import type { Queue } from '../comfyui/queue.ts';
import type { Config } from '../config.ts';
import type { Inventory } from '../domain/capabilities.ts';
import type { Instance } from '../domain/instance.ts';
import type { EventBus } from '../events/bus.ts';
import type { Clock } from '../lib/clock.ts';
import { Gate } from '../lib/gate.ts';
import type { Logger } from '../lib/logger.ts';
import type { Service } from '../lib/service.ts';
import { findClientId, findInstances, findLogin } from '../store/instances.ts';
import type { Store } from '../store/open.ts';
import { saveSetting, settingOrCreate } from '../store/settings.ts';
import { EjectionCap } from './ejection-cap.ts';
import type { InstanceState } from './instance-state.ts';
import { Member } from './member.ts';
import type { MemberEvents, MemberOptions } from './member-options.ts';
import { PANIC_SETTING } from './panic.ts';
import { registerInstances } from './registry.ts';
import { type Visited, visit } from './visit.ts';

export interface FleetOptions {
  readonly store: Store;
  readonly bus: EventBus;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** Makes UUIDs; default random ones. */
  readonly ids?: () => string;
  readonly logger: Logger;
  /** Is told of every call to an instance, for figures. */
  readonly onRequest?: OnComfyRequest | undefined;
  readonly config: Pick<
    Config,
    | 'comfyuiInstances'
    | 'probeIntervalMs'
    | 'probeTimeoutMs'
    | 'unhealthyAfterMisses'
    | 'inventoryRefreshMs'
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
  /** Acts on its row: a new one joins, one that belongs to it drains, or not. One that left it is no member. */
  adopt(id: string): Promise<void>;
  /** It left the fleet: from now on it is no member. Its connections are closed beside this, and before `stop` resolves. */
  remove(id: string): void;
  /** Calls an instance that left the fleet; null when its row is gone. */
  visit<T>(id: string, work: (visited: Visited) => Promise<T>): Promise<T | null>;
  /** From now on nothing is changed on any instance while `mayAct` says no; it is asked before each request. */
  actOnlyWhile(mayAct: () => boolean): void;
}

/** A fleet that comes back together is not asked for everything together. */
const DIALS_AT_ONCE = 5;
const LISTS_AT_ONCE = 4;

function newCrowd(): Pick<MemberOptions, 'dials' | 'lists'> {
  return { dials: new Gate(DIALS_AT_ONCE), lists: new Gate(LISTS_AT_ONCE) };
}

export function createFleet(options: FleetOptions): Fleet {
  return new InstanceFleet(options);
}

class InstanceFleet implements Fleet {
  readonly #options: FleetOptions;
  readonly #listeners = new Set<FleetListener>();
  readonly #cap: EjectionCap;
  readonly #members = new Map<string, Member>();
  /** Those that left the fleet and have not let go of everything yet. */
  readonly #leaving = new Set<Promise<void>>();
  #crowd = newCrowd();
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
    this.#crowd = newCrowd();
    const instances = await registerInstances(store, config.comfyuiInstances, ids, clock.now());
    const inventories = await inventoriesOf(store, instances);
    for (const instance of instances) {
      const inventory = inventories.get(instance.inventoryKey ?? '') ?? null;
      this.#members.set(instance.id, await this.#makeMember(instance, inventory));
    }
    for (const member of this.members()) await member.start();
  }

  /** Resolves once every socket is closed; from then on nobody belongs to it, until the next start. */
  async stop(): Promise<void> {
    await Promise.all([...this.members().map((member) => member.stop()), ...this.#leaving]);
    this.#members.clear();
    // last: where there are no members, none can be one too many
    this.#cap.stop();
  }

  async adopt(id: string): Promise<void> {
    const { db } = this.#options.store;
    const [instance] = await findInstances(db, [id]);
    if (!instance || instance.removedAt !== null) return;
    const known = this.#members.get(id);
    if (known) {
      known.adopt(instance);
      return;
    }
    const inventories = await inventoriesOf(this.#options.store, [instance]);
    const inventory = inventories.get(instance.inventoryKey ?? '') ?? null;
    const member = await this.#makeMember(instance, inventory);
    this.#members.set(id, member);
    await member.start();
  }

  remove(id: string): void {
    const member = this.#members.get(id);
    if (!member) return;
    this.#members.delete(id);
    const left: Promise<void> = member.stop().finally(() => this.#leaving.delete(left));
    this.#leaving.add(left);
    this.#events().onChange(id);
  }

  async visit<T>(id: string, work: (visited: Visited) => Promise<T>): Promise<T | null> {
    const { store, clock, config, onRequest } = this.#options;
    const [instance] = await findInstances(store.db, [id]);
    if (!instance) return null;
    const login = await findLogin(store.db, id);
    const connectTimeoutMs = config.probeTimeoutMs;
    const mayAct = (): boolean => this.#mayAct();
    return visit(instance, { clock, login, connectTimeoutMs, mayAct, onRequest }, work);
  }

  async #makeMember(instance: Instance, inventory: Inventory | null): Promise<Member> {
    const { store, config } = this.#options;
    return new Member({
      ...this.#options,
      ...this.#crowd,
      ids: this.#options.ids ?? randomUUID,
      instance,
      inventory,
      clientId: await findClientId(store.db, instance.id),
      login: await findLogin(store.db, instance.id),
      fleetId: this.#id,
      logger: this.#options.logger.child({ instance: instance.id, instanceName: instance.name }),
      probeIntervalMs: config.probeIntervalMs,
      probeTimeoutMs: config.probeTimeoutMs,
      unhealthyAfterMisses: config.unhealthyAfterMisses,
      inventoryRefreshMs: config.inventoryRefreshMs,
      useSocket: config.comfyuiWebsocket,
      breaker: { threshold: config.breakerThreshold, openMs: config.breakerOpenMs },
      canaryTimeoutMs: config.canaryTimeoutMs,
      spare: (source) => this.#cap.maySpare(instance.id, source),
      events: this.#events(),
      mayAct: () => this.#mayAct(),
    });
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

/** What was read of them last. */
function inventoriesOf(store: Store, instances: readonly Instance[]): Promise<Map<string, Inventory>> {
  return store.inventories.find(instances.flatMap((instance) => instance.inventoryKey ?? []));
}
