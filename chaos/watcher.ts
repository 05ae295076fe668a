/** A client that follows the events of jobs, and comes back with its cursors, to another gateway if there is one, whenever its own goes away. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { JobStatus } from '../src/domain/job.ts';
import { parseEventCursor } from '../src/graphql/cursors.ts';
import { rawId } from '../src/graphql/global-id.ts';
import type { SeenEvent, SubscriberLog } from '../test/support/history/evidence.ts';
import { answers } from './ports.ts';

const EVENTS = `subscription Events($id: ID!, $after: String) {
  jobEvents(id: $id, after: $after) { __typename at cursor job { status } }
}`;
const PAUSE_MS = 100;

interface EventView {
  readonly __typename: string;
  readonly at: string;
  readonly cursor: string;
  readonly job: { readonly status: JobStatus };
}

/** An event that happened while its job was watched. */
export interface Delivery {
  readonly jobId: string;
  readonly at: number;
  /** From then until it was here. */
  readonly lateMs: number;
}

export class Watcher {
  readonly name: string;
  /** Subscriptions that broke and were taken up again. */
  reconnected = 0;
  readonly #client: Client;
  readonly #events: SeenEvent[] = [];
  readonly #watches = new Set<Promise<void>>();
  readonly #errors: string[] = [];
  readonly #urls: readonly string[];
  readonly #deliveries: Delivery[] = [];
  #at = 0;
  #up: Promise<void> | undefined;
  #left = false;

  /** It begins at the first of them. */
  constructor(name: string, urls: readonly string[]) {
    this.name = name;
    this.#urls = urls;
    this.#client = createClient({
      url: () => `${this.#url.replace(/^http/, 'ws')}/graphql`,
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

  /** When it was told what had happened since it began to watch. */
  get deliveries(): readonly Delivery[] {
    return this.#deliveries;
  }

  get #url(): string {
    return this.#urls[this.#at % this.#urls.length] ?? '';
  }

  log(): SubscriberLog {
    return { name: this.name, events: this.#events };
  }

  async #follow(id: string): Promise<void> {
    let after: string | null = null;
    const begunAt = Date.now();
    for (;;) {
      await this.#untilUp();
      if (this.#left) return;
      const seen = await this.#listen(id, after, begunAt);
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
    while (!this.#left && !(await answers(`${this.#url}/ready`, 200))) {
      this.#at += 1;
      if (this.#at % this.#urls.length === 0) await sleep(PAUSE_MS);
    }
  }

  /** One subscription, to its end or until it breaks. */
  async #listen(
    id: string,
    from: string | null,
    begunAt: number,
  ): Promise<{ after: string | null; ended: boolean }> {
    let after = from;
    let ended = false;
    try {
      const variables = { id, after };
      for await (const { data, errors } of this.#client.iterate<{ jobEvents: EventView }>({
        query: EVENTS,
        variables,
      })) {
        if (errors?.some((error) => !passes(error))) {
          this.#errors.push(`${id}: ${errors.map(({ message }) => message).join('; ')}`);
        }
        if (!data) continue;
        after = data.jobEvents.cursor;
        const at = Date.parse(data.jobEvents.at);
        if (at >= begunAt) this.#deliveries.push({ jobId: id, at, lateMs: Date.now() - at });
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

/** The database is away, and the same subscription may succeed later. */
function passes({
  extensions,
}: {
  readonly extensions?: Readonly<Record<string, unknown>> | undefined;
}): boolean {
  return extensions?.retryable === true;
}
