/** An instance of the fleet as it is now: its row and what only this process knows. */
import type { Inventory } from '../domain/capabilities.ts';
import type { BreakerState, Instance } from '../domain/instance.ts';

export interface InstanceState {
  readonly instance: Instance;
  /** It answered when it was last asked. */
  readonly answering: boolean;
  /** It refuses connections, but has not been away for long: it may well be on its way up. */
  readonly starting: boolean;
  /** Its WebSocket is open. */
  readonly listening: boolean;
  /** Null until its lists are read. */
  readonly inventory: Inventory | null;
  /** Only a CLOSED one gets jobs. */
  readonly breaker: BreakerState;
}
