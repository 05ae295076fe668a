/** A client that asks again until it is answered, as one must whose gateway may die at any moment. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, TestClient, type Variables } from '../test/support/graphql-client.ts';

const PAUSE_MS = 150;
/** A gateway that was killed answers nothing; one that hangs must not hang its client. */
const DEADLINE_MS = 10_000;

export class PatientClient {
  readonly #client: TestClient;
  readonly #ended: AbortSignal;
  /** Requests that got no answer, and were asked again. */
  unanswered = 0;

  constructor(url: string, ended: AbortSignal) {
    this.#client = new TestClient(url);
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
    try {
      return await this.#client.ask<T>(query, variables, AbortSignal.timeout(DEADLINE_MS));
    } catch {
      return null;
    }
  }
}

/** It is shutting down or starting, or says that it failed for a reason of its own. */
function isTransient({ status }: Answer<unknown>): boolean {
  return status >= 500 || status === 429;
}
