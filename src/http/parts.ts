/** What the HTTP side is built from. */
import type { Services } from '../graphql/services.ts';

export interface HttpParts extends Services {
  /** New ids for requests that bring none. */
  readonly ids: () => string;
}
