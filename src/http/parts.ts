/** What the HTTP side is built from. */
import type { OperationObserver } from '../graphql/operation-reports.ts';
import type { Services } from '../graphql/services.ts';
import type { ConnectionLimits } from './limits.ts';

export interface HttpParts extends Services {
  /** New ids for requests that bring none. */
  readonly ids: () => string;
  /** What differs from CONNECTION_LIMITS. */
  readonly limits?: Partial<ConnectionLimits>;
  /** Is told of what comes in, for figures. */
  readonly observer?: OperationObserver;
}
