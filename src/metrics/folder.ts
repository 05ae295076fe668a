/**
 * Carries what is noted about jobs into the figures: every second, in the leader. Facts leave the outbox in the transaction
 * that adds them up, under one lock: each counts once, however many fold at the same time and whoever dies when. A power
 * cut undoes both sides together, so these transactions need not wait for the disk.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CrashHook } from '../domain/crash-points.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { Loop } from '../lib/loop.ts';
import type { Service } from '../lib/service.ts';
import { noteFailures } from '../store/metric-failures.ts';
import { takeFacts, waitingFacts } from '../store/metric-outbox.ts';
import { savePersistedAt } from '../store/metric-progress.ts';
import { addUsage } from '../store/metric-usage.ts';
import type { Store } from '../store/open.ts';
import { addToRollups } from '../store/rollups.ts';
import { fold } from './fold.ts';

const INTERVAL_MS = 1000;
/**
 * Written in one transaction, about: others have to wait for it where there is one connection. How many facts make so many
 * depends on how many instances, workflows and tenants they are of, and how long they ran, so it is seen as it goes.
 */
const CELLS_AT_ONCE = 600;
const MOST_FACTS_AT_ONCE = 200;
/** With nothing to fold it is said this often that the figures are up to date. */
const SAY_EVERY_MS = 10_000;

export interface FolderOptions {
  readonly store: Pick<Store, 'db' | 'relaxed'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** METRICS_RETENTION_MS */
  readonly retentionMs: number;
  /** Asked throughout: this process is the one to do it. Two that think so do no harm. */
  readonly mayRun: () => boolean;
  readonly crashAt?: CrashHook | undefined;
}

export interface Folder extends Service {
  /** Folds what waits; resolves when nothing is left. */
  round(signal?: Pick<AbortSignal, 'aborted'>): Promise<void>;
}

export function createFolder(options: FolderOptions): Folder {
  const { store, clock, logger, retentionMs, mayRun, crashAt } = options;
  let saidAt = Number.NEGATIVE_INFINITY;
  let atOnce = MOST_FACTS_AT_ONCE / 2;

  /** Whether all that waited is folded. What commits at this very moment may have happened a little earlier. */
  const foldSome = async (): Promise<boolean> => {
    const now = clock.now();
    const most = atOnce;
    const isAll = await store.relaxed(async (tx) => {
      const facts = await takeFacts(tx, most);
      const { increments, usage, failures } = fold(facts, { now, retentionMs });
      await addToRollups(tx, increments);
      await addUsage(tx, usage);
      await noteFailures(tx, failures);
      atOnce = factsFor(CELLS_AT_ONCE, facts.length / increments.length);
      const tookAll = facts.length < most;
      await savePersistedAt(tx, tookAll ? now : Math.min(now, ...facts.map(({ at }) => at)));
      crashAt?.('fold:before-commit');
      return tookAll;
    });
    crashAt?.('fold:after-commit');
    saidAt = clock.monotonic();
    return isAll;
  };

  const round: Folder['round'] = async (signal) => {
    const now = clock.now();
    if ((await waitingFacts(store.db, 1)) > 0) {
      while (!signal?.aborted && !(await foldSome())) await nextTurn();
    } else if (clock.monotonic() - saidAt >= SAY_EVERY_MS) {
      await store.relaxed((tx) => savePersistedAt(tx, now));
      saidAt = clock.monotonic();
    }
  };

  const step = async (signal: AbortSignal): Promise<void> => {
    const halt = {
      get aborted() {
        return signal.aborted || !mayRun();
      },
    };
    if (!halt.aborted) await round(halt);
  };
  const loop = new Loop({ name: 'figures', intervalMs: INTERVAL_MS, step, clock, logger });
  return { start: () => loop.start(), stop: () => loop.stop(), round };
}

/** `aCell`: facts that it took to make one lately; NaN when there were none. */
function factsFor(cells: number, aCell: number): number {
  return Math.max(1, Math.min(MOST_FACTS_AT_ONCE, Math.floor(cells * aCell) || 1));
}
