/** What the HTTP side is built from. */
import type { Services } from '../graphql/services.ts';
import type { Exposition } from '../metrics/prometheus/exposition.ts';
import type { ConnectionLimits } from './limits.ts';
import type { HttpObserver } from './observer.ts';

export interface HttpParts extends Services {
  /** New ids for requests that bring none. */
  readonly ids: () => string;
  /** What differs from CONNECTION_LIMITS. */
  readonly limits?: Partial<ConnectionLimits>;
  /** Is told of what comes in, for figures. */
  readonly observer?: HttpObserver;
  /** What /metrics answers; null: nothing is served there. */
  readonly exposition?: Exposition | null;
}
