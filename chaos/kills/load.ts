/** What clients do during a round: submit with a key until they are told that it was taken, cancel some, watch many. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { rawId } from '../../src/graphql/global-id.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import { PatientClient } from '../patient-client.ts';
import type { Watcher } from '../watcher.ts';

const SUBMIT = `mutation Submit($input: SubmitJobInput!) { submitJob(input: $input) {
  __typename ... on SubmitJobSuccess { job { id } } ... on Error { code }
} }`;
const CANCEL = 'mutation Cancel($id: ID!) { cancelJob(input: { id: $id }) { __typename } }';

const SUBMITTERS = 4;
/** Shares of the jobs. */
const CANCELED = 0.06;
const WITH_PRIORITY = 0.2;
const WATCHED = 0.5;

export interface LoadOptions {
  /** Of the gateways, which take turns. */
  readonly urls: readonly string[];
  readonly jobs: number;
  readonly watchers: readonly Watcher[];
  readonly random: () => number;
  readonly ended: AbortSignal;
  /** What the longest job sleeps. */
  readonly longestSeconds?: number;
}

/** Drawn beforehand, so that they do not depend on who comes first. */
interface Plan {
  readonly key: string;
  readonly graph: JsonObject;
  readonly priority: number;
  /** After its acknowledgement. */
  readonly cancelAfterMs: number | null;
  readonly watchedBy: Watcher | undefined;
}

export class Load {
  /** Ids as the store has them, of jobs whose submit was answered. */
  readonly acknowledged: string[] = [];
  readonly #plans: readonly Plan[];
  readonly #client: PatientClient;
  readonly #ids = new Map<string, string>();
  readonly #side = new Set<Promise<void>>();
  readonly #ended: AbortSignal;
  #letIn = 0;
  #next = 0;
  canceled = 0;

  constructor({ urls, jobs, watchers, random, ended, longestSeconds = 0.65 }: LoadOptions) {
    this.#ended = ended;
    this.#client = new PatientClient(urls, ended);
    this.#plans = Array.from({ length: jobs }, (_, n) => plan(n, watchers, random, longestSeconds));
  }

  /** Submits that were not answered and asked again. */
  get unanswered(): number {
    return this.#client.unanswered;
  }

  /** So many jobs may have been submitted by now. */
  letIn(count: number): void {
    this.#letIn = Math.max(this.#letIn, count);
  }

  async run(): Promise<void> {
    await Promise.all(Array.from({ length: SUBMITTERS }, () => this.#submitter()));
  }

  /** Every cancel was answered. */
  async settled(): Promise<void> {
    while (this.#side.size > 0) await Promise.all(this.#side);
  }

  /** Of the job with this id in the store, without waiting for the answer. */
  cancelNow(jobId: string): void {
    const id = this.#ids.get(jobId);
    if (id !== undefined) this.#aside(this.#cancel(id));
  }

  async #submitter(): Promise<void> {
    for (;;) {
      while (this.#next >= this.#letIn && this.#next < this.#plans.length) {
        await sleep(10, undefined, { signal: this.#ended });
      }
      const mine = this.#plans[this.#next];
      this.#next += 1;
      if (!mine) return;
      await this.#submit(mine);
    }
  }

  async #submit({ key, graph, priority, cancelAfterMs, watchedBy }: Plan): Promise<void> {
    const input = { graph, priority, idempotencyKey: key };
    type Result = { __typename: string; job?: { id: string }; code?: string };
    const { submitJob } = await this.#client.run<{ submitJob: Result }>(SUBMIT, { input });
    if (!submitJob.job) throw new Error(`a submit was refused: ${JSON.stringify(submitJob)}`);
    const { id } = submitJob.job;
    const jobId = rawId(id, 'Job') ?? id;
    this.#ids.set(jobId, id);
    this.acknowledged.push(jobId);
    watchedBy?.watch(id);
    if (cancelAfterMs !== null) this.#aside(sleep(cancelAfterMs).then(() => this.#cancel(id)));
  }

  async #cancel(id: string): Promise<void> {
    await this.#client.run(CANCEL, { id });
    this.canceled += 1;
  }

  #aside(work: Promise<void>): void {
    const side = work.catch(() => undefined).finally(() => this.#side.delete(side));
    this.#side.add(side);
  }
}

function plan(n: number, watchers: readonly Watcher[], random: () => number, longestSeconds: number): Plan {
  const share = (part: number): boolean => random() < part;
  return {
    key: `${n}-${randomUUID()}`,
    graph: graphOf(n, 0.05 + random() * (longestSeconds - 0.05)),
    priority: share(WITH_PRIORITY) ? 1 + Math.floor(random() * 10) : 5,
    cancelAfterMs: share(CANCELED) ? random() * 3000 : null,
    watchedBy: share(WATCHED) ? watchers[n % watchers.length] : undefined,
  };
}

/** How many outputs graphOf makes. */
export const OUTPUTS = 2;

/** Sleeps in steps, which can be interrupted; one small picture, and one that takes a while to fetch. */
function graphOf(salt: number, seconds: number): JsonObject {
  return {
    '1': { class_type: 'RigSleep', inputs: { seconds, steps: 10, preview: 'none', salt } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'slept' } },
    '3': { class_type: 'RigNoise', inputs: { width: 96, height: 96, batch: 1, salt } },
    '4': { class_type: 'SaveImage', inputs: { images: ['3', 0], filename_prefix: 'noise' } },
  };
}
