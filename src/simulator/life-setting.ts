/** What a life of the simulated process is given, and what it leaves behind: both outlive it. */
import type { Clock } from '../lib/clock.ts';
import type { Faults } from './faults.ts';
import type { Files } from './files.ts';
import type { NodeClass } from './node-class.ts';
import type { ResolvedOptions } from './options.ts';
import type { RunLog } from './run-log.ts';

/** What a life needs that outlives it. */
export interface LifeSetting {
  readonly options: ResolvedOptions;
  readonly classes: ReadonlyMap<string, NodeClass>;
  readonly clock: Clock;
  readonly files: Files;
  readonly faults: Faults;
  readonly log: RunLog;
  readonly random: () => number;
  /** Called once when the process dies by itself. */
  readonly onCrash: (reason: string) => void;
  /** Resolves at once unless frozen; then when thawed. */
  readonly thawed: () => Promise<void> | undefined;
}
