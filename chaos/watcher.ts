/** A client that follows the events of jobs, and comes back with its cursors whenever the gateway goes away. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { JobStatus } from '../src/domain/job.ts';
import { parseEventCursor } from '../src/graphql/cursors.ts';
import { rawId } from '../src/graphql/global-id.ts';
import type { SeenEvent, SubscriberLog } from '../test/support/history/evidence.ts';
import { answers } from './ports.ts';

const EVENTS = `subscription Events($id: ID!, $after: String) {
  jobEvents(id: $id, after: $after) { __typename cursor job { status } }
}`;
const PAUSE_MS = 100;

interface EventView {
  readonly __typename: string;
  readonly cursor: string;
  readonly job: { readonly status: JobStatus };
}

export class Watcher {
  readonly name: string;
  /** Subscriptions that broke and were taken up again. */
  reconnected = 0;
  readonly #client: Client;
  readonly #events: SeenEvent[] = [];
  readonly #watches = new Set<Promise<void>>();
  readonly #errors: string[] = [];
  readonly #url: string;
  #up: Promise<void> | undefined;
  #left = false;

  constructor(name: string, url: string) {
    this.name = name;
    this.#url = url;
    this.#client = createClient({
      url: `${url.replace(/^http/, 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
    });
  }

  /** Follows the job to its end, however often the gateway goes away. `id` as clients have it. */
  watch(id: string): void {
    const watch = this.#follow(id).finally(() => this.#watches.delete(watch));
    this.#watches.add(watch);
  }

  /** Jobs whose end it has not seen. */
  get waiting(): number {
    return this.#watches.size;
  }

  /** What no repetition mends. */
  get errors(): readonly string[] {
    return this.#errors;
  }

  async leave(): Promise<void> {
    this.#left = true;
    await this.#client.dispose();
    await Promise.all(this.#watches);
  }

  log(): SubscriberLog {
    return { name: this.name, events: this.#events };
  }

  async #follow(id: string): Promise<void> {
    let after: string | null = null;
    for (;;) {
      await this.#untilUp();
      if (this.#left) return;
      const seen = await this.#listen(id, after);
      if (seen.ended || this.#left) return;
      after = seen.after;
      this.reconnected += 1;
      // It may still answer for a moment.
      await sleep(PAUSE_MS);
    }
  }

  /** All subscriptions of this client wait for the gateway together. */
  #untilUp(): Promise<void> {
    this.#up ??= this.#knock().finally(() => {
      this.#up = undefined;
    });
    return this.#up;
  }

  async #knock(): Promise<void> {
    while (!this.#left && !(await answers(`${this.#url}/live`))) await sleep(PAUSE_MS);
  }

  /** One subscription, to its end or until it breaks. */
  async #listen(id: string, from: string | null): Promise<{ after: string | null; ended: boolean }> {
    let after = from;
    let ended = false;
    try {
      const variables = { id, after };
      for await (const { data, errors } of this.#client.iterate<{ jobEvents: EventView }>({
        query: EVENTS,
        variables,
      })) {
        if (errors) this.#errors.push(`${id}: ${errors.map(({ message }) => message).join('; ')}`);
        if (!data) continue;
        after = data.jobEvents.cursor;
        ended ||= this.#note(id, data.jobEvents);
      }
    } catch {
      // the gateway went away
    }
    return { after, ended };
  }

  #note(id: string, { __typename: type, cursor, job: { status } }: EventView): boolean {
    const jobId = rawId(id, 'Job') ?? id;
    this.#events.push({ jobId, seq: parseEventCursor(cursor) ?? -1, type, status });
    return type === 'JobFinished' || type === 'JobCanceled';
  }
}
