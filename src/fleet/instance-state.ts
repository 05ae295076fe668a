/** An instance of the fleet as it is now: its row and what only this process knows. */
import type { Inventory } from '../domain/capabilities.ts';
import type { BreakerState, Instance } from '../domain/instance.ts';

export interface InstanceState {
  readonly instance: Instance;
  /** It answered when it was last asked. */
  readonly answering: boolean;
  /** It refuses connections, but has not been away for long: it may well be on its way up. */
  readonly starting: boolean;
  /** Nothing was heard of it for longer than the probe interval: it must be asked before it gets a job. */
  readonly stale: boolean;
  /** It was put aside until lately: it is used with care until some jobs have succeeded. */
  readonly slowStart: boolean;
  /** Its WebSocket is open. */
  readonly listening: boolean;
  /** Null until its lists are read. */
  readonly inventory: Inventory | null;
  /** Only a CLOSED one gets jobs. */
  readonly breaker: BreakerState;
}
