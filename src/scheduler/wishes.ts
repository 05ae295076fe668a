/**
 * Carries out what people ask of instances. A hint makes it look, and it looks once a second; what is marked as done was
 * done by the leader of that term. What changes who gets jobs is done between two plans, so that none is under way; what
 * waits for an instance goes on beside.
 */
import type { Wish } from '../domain/wish.ts';
import type { EventBus } from '../events/bus.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { assertNever } from '../lib/assert.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Store } from '../store/open.ts';
import { finishWish, forgetWishes, openWishes } from '../store/wishes.ts';
import type { Background } from './background.ts';
import type { Removals } from './removals.ts';

export interface WishesParts {
  readonly store: Store;
  readonly bus: EventBus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fleet: Fleet;
  readonly background: Background;
  readonly removals: Pick<Removals, 'remove'>;
  /** Aborted when the term is over. */
  readonly signal: AbortSignal;
  /** The instance was told to unload its models. */
  readonly onFreed: (instanceId: string) => void;
}

const LOOK_EVERY_MS = 1000;
const FREE_DEADLINE_MS = 3000;
const FORGET_EVERY_MS = 600_000;
const KEPT_MS = 3_600_000;
const GIVE_UP_MS = 300_000;
const LEFT = 'it left the fleet';
const GIVEN_UP = 'it could not be done for five minutes: the log of the leader says why';

/** Why it could not be done; null when it was. */
type Undone = string | null;

export class Wishes {
  readonly #parts: WishesParts;
  readonly #term: number;
  readonly #underWay = new Set<string>();
  /** Those that could not be carried out, and since when, monotonic ms. */
  readonly #failing = new Map<string, number>();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #forgotAt = Number.NEGATIVE_INFINITY;

  constructor(parts: WishesParts, term: number) {
    this.#parts = parts;
    this.#term = term;
  }

  /** There may be a new one: look at the next opportunity. */
  distrust(): void {
    this.#lookedAt = Number.NEGATIVE_INFINITY;
  }

  async carryOut(goOn: () => boolean): Promise<void> {
    const { clock, store } = this.#parts;
    if (clock.monotonic() - this.#lookedAt < LOOK_EVERY_MS) return;
    // before the read: what is hinted at meanwhile is looked for once more
    this.#lookedAt = clock.monotonic();
    for (const wish of await openWishes(store.db)) {
      if (!goOn()) return;
      if (this.#underWay.has(wish.id)) continue;
      // one that cannot be done, or is of a version that knows more, holds up no job
      await this.#begin(wish).catch((error: unknown) => this.#failed(wish, error));
    }
    if (clock.monotonic() - this.#forgotAt < FORGET_EVERY_MS) return;
    this.#forgotAt = clock.monotonic();
    await forgetWishes(store.db, clock.now() - KEPT_MS);
  }

  async #begin(wish: Wish): Promise<void> {
    const { background, clock } = this.#parts;
    const failingSince = this.#failing.get(wish.id) ?? Number.POSITIVE_INFINITY;
    if (clock.monotonic() - failingSince >= GIVE_UP_MS) {
      await this.#finish(wish, GIVEN_UP);
      return;
    }
    if (wish.kind === 'adopt') {
      await this.#parts.fleet.adopt(wish.instanceId);
      await this.#finish(wish, null);
      return;
    }
    const work = this.#work(wish);
    this.#underWay.add(wish.id);
    background.own(
      work
        .then((undone) => this.#finish(wish, undone))
        .catch((error: unknown) => this.#failed(wish, error))
        .finally(() => this.#underWay.delete(wish.id)),
      'wish',
    );
  }

  /** It is tried again each second, and told of once. */
  #failed({ id, kind, instanceId }: Wish, error: unknown): void {
    const { clock, logger } = this.#parts;
    if (this.#failing.has(id)) return;
    this.#failing.set(id, clock.monotonic());
    logger.error({ err: error, wish: kind, instance: instanceId }, 'a wish could not be carried out');
  }

  /** What must not be overtaken by a plan happens before it first waits. */
  #work({ kind, instanceId }: Wish): Promise<Undone> {
    switch (kind) {
      case 'adopt':
        return Promise.resolve(null);
      case 'remove':
        return this.#parts.removals.remove(instanceId);
      case 'probe':
        return this.#probe(instanceId);
      case 'free':
        return this.#free(instanceId);
      default:
        return assertNever(kind, 'kind of wish');
    }
  }

  async #probe(id: string): Promise<Undone> {
    const member = this.#parts.fleet.member(id);
    if (!member) return LEFT;
    await member.probeNow();
    if (member.state().answering) await member.rereadLists();
    return null;
  }

  async #free(id: string): Promise<Undone> {
    const { fleet, signal, onFreed } = this.#parts;
    const member = fleet.member(id);
    if (!member) return LEFT;
    const call = { deadlineMs: FREE_DEADLINE_MS, signal };
    const freed = await member.http.free({ unloadModels: true, freeMemory: true }, call);
    if (!freed.ok) return `it could not be told: ${freed.message}`;
    onFreed(id);
    return null;
  }

  async #finish({ id, kind, instanceId }: Wish, error: Undone): Promise<void> {
    const { store, bus, clock, logger, signal } = this.#parts;
    // whoever leads next does it again, rather than believing what was broken off
    if (signal.aborted) return;
    const now = clock.now();
    const done = { error, term: this.#term, now };
    if (!(await store.transaction((tx) => finishWish(tx, id, done)))) return;
    this.#failing.delete(id);
    const about = { wish: kind, instance: instanceId, ...(error !== null && { error }) };
    if (error === GIVEN_UP) logger.error(about, 'a wish was given up');
    else logger.info(about, 'a wish was carried out');
    bus.publish({ kind: 'instance', instanceId, at: now });
  }
}
