/**
 * What a person changes in the fleet, in whichever process serves them: one transaction writes the row and a wish beside it,
 * the leader is told, and the answer comes once it has carried the wish out, or after five seconds. Without a leader the
 * rows stand all the same, and whoever leads next acts on them.
 */
import type { Instance } from '../domain/instance.ts';
import type { WishKind } from '../domain/wish.ts';
import type { EventBus } from '../events/bus.ts';
import { instancesTopic } from '../events/topics.ts';
import { type Clock, pause } from '../lib/clock.ts';
import {
  findInstances,
  insertAdded,
  listInstances,
  lockInstances,
  removeInstance,
  setDraining,
} from '../store/instances.ts';
import type { Db, Store } from '../store/open.ts';
import { type DoneWish, findDoneWish, insertWish } from '../store/wishes.ts';
import {
  type InputIssue,
  type InstanceInput,
  type NewInstance,
  readInstanceInput,
} from './instance-input.ts';

export interface FleetWriterParts {
  readonly store: Pick<Store, 'db' | 'transaction'>;
  readonly bus: EventBus;
  readonly clock: Clock;
  readonly ids: () => string;
}

export type FleetAnswer =
  /** As it stands now. `undone`: why the leader could not do what was asked, one line. */
  | { readonly kind: 'instance'; readonly instance: Instance; readonly undone: string | null }
  | { readonly kind: 'invalid'; readonly issues: readonly InputIssue[] }
  /** There is none, or it left the fleet. */
  | { readonly kind: 'not-found' };

/** The signal (the gateway stops) ends the waiting only: what was asked for is written and stays. */
export interface FleetWriter {
  /** Does not wait for the instance to be up. `capacity` of one that names none: `usualCapacity`. */
  add(input: InstanceInput, usualCapacity: number, signal?: AbortSignal): Promise<FleetAnswer>;
  /** Once this has answered in time, no attempt begins there until it is resumed. */
  setDraining(id: string, draining: boolean, signal?: AbortSignal): Promise<FleetAnswer>;
  /** Asks it how it is, now. */
  probe(id: string, signal?: AbortSignal): Promise<FleetAnswer>;
  /** Has it unload its models. */
  free(id: string, signal?: AbortSignal): Promise<FleetAnswer>;
  /** Its jobs run elsewhere. One that the configuration names is invalid here. */
  remove(id: string, signal?: AbortSignal): Promise<FleetAnswer>;
}

export function createFleetWriter(parts: FleetWriterParts): FleetWriter {
  const { clock } = parts;
  return {
    async add(input, usualCapacity, signal) {
      const read = readInstanceInput(input, { capacity: usualCapacity });
      if (!read.ok) return { kind: 'invalid', issues: read.issues };
      return ask(parts, 'adopt', (tx, id) => add(tx, id, read.instance, clock.now()), signal);
    },
    setDraining: (id, draining, signal) =>
      ask(parts, 'adopt', (tx) => setDraining(tx, id, draining, clock.now()), signal),
    probe: (id, signal) => ask(parts, 'probe', (tx) => findPresent(tx, id), signal),
    free: (id, signal) => ask(parts, 'free', (tx) => findPresent(tx, id), signal),
    remove: (id, signal) => ask(parts, 'remove', (tx) => remove(tx, id, clock.now()), signal),
  };
}

/** What a change answers: the row as it left it, what is wrong with it, or null when there is no such instance. */
type Written = Instance | readonly InputIssue[] | null;

const ANSWER_WITHIN_MS = 5000;
/** News of a wish may be lost. */
const LOOK_EVERY_MS = 250;

async function ask(
  parts: FleetWriterParts,
  kind: WishKind,
  change: (tx: Db, newId: string) => Promise<Written>,
  signal?: AbortSignal,
): Promise<FleetAnswer> {
  const { store, bus, clock, ids } = parts;
  const wishId = ids();
  const newId = ids();
  const now = clock.now();
  const written = await store.transaction(async (tx) => {
    const done = await change(tx, newId);
    if (done && 'id' in done) await insertWish(tx, { id: wishId, instanceId: done.id, kind, askedAt: now });
    return done;
  });
  if (written === null) return { kind: 'not-found' };
  if (!('id' in written)) return { kind: 'invalid', issues: written };
  bus.publish({ kind: 'instance', instanceId: written.id, at: now });
  bus.publish({ kind: 'hint', hint: 'instances-changed', jobId: null });
  const done = await untilDone(parts, { wishId, instanceId: written.id }, signal);
  const [instance = written] = await findInstances(store.db, [written.id]);
  return { kind: 'instance', instance, undone: done?.error ?? null };
}

/** Null when it is not done in time. */
async function untilDone(
  { store, bus, clock }: FleetWriterParts,
  { wishId, instanceId }: { readonly wishId: string; readonly instanceId: string },
  signal?: AbortSignal,
): Promise<DoneWish | null> {
  const over = new AbortController();
  const timer = clock.after(ANSWER_WITHIN_MS, () => over.abort());
  const ended = signal ? AbortSignal.any([over.signal, signal]) : over.signal;
  let news = new AbortController();
  void listen(bus, instanceId, ended, () => news.abort());
  try {
    for (;;) {
      news = new AbortController();
      const done = await findDoneWish(store.db, wishId);
      if (done || ended.aborted) return done;
      await pause(clock, LOOK_EVERY_MS, AbortSignal.any([news.signal, ended]));
    }
  } finally {
    timer.cancel();
    // closes the subscription
    over.abort();
  }
}

/** Not waited for: what it misses is looked up. */
async function listen(
  bus: EventBus,
  instanceId: string,
  signal: AbortSignal,
  onNews: () => void,
): Promise<void> {
  for await (const heard of await bus.subscribe([instancesTopic], { signal })) {
    if (heard.kind === 'gap' || (heard.kind === 'instance' && heard.instanceId === instanceId)) onNews();
  }
}

async function findPresent(tx: Db, id: string): Promise<Instance | null> {
  const [found] = await findInstances(tx, [id]);
  return found && found.removedAt === null ? found : null;
}

/** Sent twice it makes one: the second is told what is there. */
async function add(tx: Db, id: string, added: NewInstance, now: number): Promise<Written> {
  await lockInstances(tx);
  const present = await listInstances(tx);
  const same = present.find(({ url }) => url === added.url);
  if (same)
    return [{ path: ['url'], message: `is the address of "${same.name}", which is in the fleet already` }];
  if (present.some(({ name }) => name === added.name)) {
    return [
      { path: ['name'], message: `"${added.name}" is the name of another instance; give it one of its own` },
    ];
  }
  return insertAdded(tx, { id, ...added }, now);
}

async function remove(tx: Db, id: string, now: number): Promise<Written> {
  await lockInstances(tx);
  const found = await findPresent(tx, id);
  if (found?.origin === 'config') {
    const message = 'is named in COMFYUI_INSTANCES: drain it, or take it out there and restart';
    return [{ path: ['id'], message }];
  }
  return found && (await removeInstance(tx, id, now)) ? { ...found, removedAt: now } : null;
}
