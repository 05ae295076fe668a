/** Puts figures into a store the way the gateway does: facts are noted, then folded. */
import type { MetricFact } from '../../src/domain/metric-fact.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { createIds } from '../../src/lib/ids.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createFolder } from '../../src/metrics/folder.ts';
import { noteFacts } from '../../src/store/metric-outbox.ts';
import type { Store } from '../../src/store/open.ts';

const YEAR_MS = 365 * 86_400_000;

export async function foldFacts(store: Store, clock: Clock, facts: readonly MetricFact[]): Promise<void> {
  if (facts.length > 0) await store.transaction((tx) => noteFacts(tx, createIds(clock), facts));
  const logger = createLogger('silent');
  await createFolder({ store, clock, logger, retentionMs: YEAR_MS, mayRun: () => true }).round();
}
