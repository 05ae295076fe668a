/** A client that asks again until it is answered, of another gateway where there are several: one may die at any moment. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, TestClient, type Variables } from '../test/support/graphql-client.ts';

const PAUSE_MS = 150;
/** A gateway that was killed answers nothing; one that hangs must not hang its client. */
const DEADLINE_MS = 10_000;

export class PatientClient {
  readonly #clients: readonly TestClient[];
  readonly #ended: AbortSignal;
  /** Requests that got no answer, and were asked again. */
  unanswered = 0;
  #turn = 0;

  constructor(urls: readonly string[], ended: AbortSignal) {
    this.#clients = urls.map((url) => new TestClient(url));
    this.#ended = ended;
  }

  /** The data of an operation. @throws when the round is over, or the answer is an error that no repetition mends. */
  async run<T>(query: string, variables: Variables = {}): Promise<T> {
    for (;;) {
      this.#ended.throwIfAborted();
      const answer = await this.#once<T>(query, variables);
      if (answer?.data && answer.errors.length === 0) return answer.data;
      if (answer && !isTransient(answer)) throw new Error(JSON.stringify(answer.errors));
      this.unanswered += 1;
      await sleep(PAUSE_MS);
    }
  }

  async #once<T>(query: string, variables: Variables): Promise<Answer<T> | null> {
    const client = this.#clients[this.#turn++ % this.#clients.length];
    try {
      return (await client?.ask<T>(query, variables, AbortSignal.timeout(DEADLINE_MS))) ?? null;
    } catch {
      return null;
    }
  }
}

/** It is shutting down or starting, or says that it failed for a reason of its own, or of its database. */
function isTransient({ status, errors }: Answer<unknown>): boolean {
  return status >= 500 || status === 429 || errors.some(({ extensions }) => extensions?.retryable === true);
}
