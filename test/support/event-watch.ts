/** A client that listens to the events of one job, and comes back with its cursor whenever the gateway went away. */

import { parseEventCursor } from '../../src/graphql/cursors.ts';
import { decodeGlobalId } from '../../src/graphql/global-id.ts';
import type { TestClient } from './graphql-client.ts';
import type { SeenEvent, SubscriberLog } from './history/evidence.ts';

const EVENTS = `subscription Events($id: ID!, $after: String) {
  jobEvents(id: $id, after: $after) { __typename cursor }
}`;

interface EventView {
  readonly __typename: string;
  readonly cursor: string;
}

export class EventWatch {
  readonly #id: string;
  readonly #events: SeenEvent[] = [];
  #cursor: string | null = null;
  #listening: Promise<void> = Promise.resolve();

  /** `id` as clients have it. */
  constructor(id: string) {
    this.#id = id;
  }

  /** The job ended as far as it heard. */
  get ended(): boolean {
    return this.#events.some(({ type }) => type === 'JobFinished' || type === 'JobCanceled');
  }

  /** Goes on after what it heard last. */
  listen(client: TestClient): void {
    if (!this.ended) this.#listening = this.#read(client);
  }

  /** Resolves once it does not listen any more, because its client is closed. */
  left(): Promise<void> {
    return this.#listening;
  }

  log(): SubscriberLog {
    return { name: `a client of ${this.#jobId}`, events: this.#events, stayed: false };
  }

  get #jobId(): string {
    return decodeGlobalId(this.#id)?.id ?? this.#id;
  }

  async #read(client: TestClient): Promise<void> {
    try {
      const variables = { id: this.#id, after: this.#cursor };
      for await (const { data } of client.watch<{ jobEvents: EventView }>(EVENTS, variables)) {
        if (data) this.#hear(data.jobEvents);
      }
    } catch {
      // the gateway died: whoever starts the next one lets it listen again
    }
  }

  #hear({ __typename: type, cursor }: EventView): void {
    this.#cursor = cursor;
    this.#events.push({ jobId: this.#jobId, seq: parseEventCursor(cursor) ?? 0, type });
  }
}
