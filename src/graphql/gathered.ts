/**
 * One query for all who ask at the same moment: siblings of a list, and the thousands of subscribers that come back after
 * a restart or are told of a gap. Behind a gate a batch waits for its turn and grows meanwhile: the busier the store, the
 * more each query answers. Nothing is remembered once it was asked for, because a memory would grow stale.
 */
import DataLoader from 'dataloader';
import type { Gate } from '../lib/gate.ts';

export interface Gathering {
  /** Keys in one batch at most: SQLite takes 32,766 parameters in a statement. Default 1000. */
  readonly most?: number | undefined;
  /** Shared with other kinds of questions; without one every batch is asked at once. */
  readonly gate?: Gate | undefined;
  /** How long it gathers. Default: over one turn of the event loop, so what the sockets brought in it is answered together. */
  readonly moment?: (() => Promise<unknown>) | undefined;
}

const MOST = 1000;

/** `answer` is given each key once and answers in their order. Keys are equal when their JSON is. */
export function gathered<K, V>(
  answer: (keys: readonly K[]) => Promise<readonly V[]>,
  { most = MOST, gate, moment = turn }: Gathering = {},
): DataLoader<K, V, string> {
  let answering: Promise<unknown> = Promise.resolve();
  const ask = async (send: () => void): Promise<void> => {
    answering = Promise.resolve();
    send();
    await answering.catch(() => undefined);
  };
  const loader = new DataLoader<K, V, string>(
    (keys) => {
      // whoever asks from now on is told what is read from now on
      for (const key of keys) loader.clear(key);
      const answers = answer(keys);
      answering = answers;
      return answers;
    },
    {
      maxBatchSize: most,
      cacheKeyFn: (key) => (typeof key === 'string' ? key : JSON.stringify(key)),
      batchScheduleFn: (send) => void moment().then(() => (gate ? gate.run(() => ask(send)) : send())),
    },
  );
  return loader;
}

/** The same where answers come by key; what is not found is `absent`. */
export function gatheredByKey<K extends string, V>(
  find: (keys: readonly K[]) => Promise<ReadonlyMap<K, V>>,
  absent: V,
  gathering: Gathering,
): DataLoader<K, V, string> {
  return gathered(async (keys) => {
    const found = await find(keys);
    return keys.map((key) => found.get(key) ?? absent);
  }, gathering);
}

/** The same where questions cannot be asked together: one after the other, so few to a batch. */
export function gatheredOneByOne<K, V>(
  answer: (key: K) => Promise<V>,
  gathering: Gathering,
): DataLoader<K, V, string> {
  return gathered(
    async (keys) => {
      const answers: V[] = [];
      for (const key of keys) answers.push(await answer(key));
      return answers;
    },
    { ...gathering, most: FEW },
  );
}

/** While they are asked, others of the crowd wait. */
const FEW = 10;

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
