/** Jobs whose outcome is known before they are submitted, and a client that submits them until it is told that they are taken. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '../../src/lib/json.ts';
import type { PatientClient } from '../patient-client.ts';

/** What may become of each kind: several where a race decides. */
export const OUTCOMES = {
  success: ['COMPLETED'],
  typed: ['COMPLETED'],
  error: ['FAILED NODE_FAILED'],
  memory: ['FAILED OUT_OF_MEMORY'],
  timeout: ['FAILED TIMEOUT'],
  deadline: ['FAILED DEADLINE_EXCEEDED', 'COMPLETED'],
  cancel: ['CANCELED', 'COMPLETED'],
} as const;
export type Kind = keyof typeof OUTCOMES;

/** Shares of the jobs; the rest succeeds. */
const SHARES: Readonly<Partial<Record<Kind, number>>> = {
  typed: 0.12,
  error: 0.06,
  memory: 0.005,
  timeout: 0.01,
  deadline: 0.02,
  cancel: 0.06,
};

export interface Order {
  readonly kind: Kind;
  readonly mutation: 'submitJob' | 'generateImage';
  readonly input: JsonObject;
  /** After its acknowledgement. */
  readonly cancelAfterMs: number | null;
}

/** Everything is drawn beforehand. `longestSeconds`: what a job takes at most. */
export function planOrders(count: number, random: () => number, longestSeconds: number): Order[] {
  const kinds = Object.entries(SHARES).flatMap(([kind, share]) =>
    Array.from({ length: Math.max(1, Math.round(share * count)) }, () => kind as Kind),
  );
  return Array.from({ length: count }, (_, n) => ({ kind: kinds[n] ?? ('success' as const), by: random() }))
    .sort((a, b) => a.by - b.by)
    .map(({ kind }, n) => order(kind, n, random, longestSeconds));
}

function order(kind: Kind, salt: number, random: () => number, longestSeconds: number): Order {
  // as many short ones as long ones, so that the bins of a histogram fill over their whole range
  const seconds = 0.01 * (longestSeconds / 0.01) ** random();
  const cancelAfterMs = kind === 'cancel' ? random() * 1500 : null;
  const idempotencyKey = `${salt}-${randomUUID()}`;
  const raw = (graph: JsonObject, options: JsonObject = {}): Order => ({
    ...{ kind, cancelAfterMs, mutation: 'submitJob' },
    input: { graph, idempotencyKey, ...options },
  });
  switch (kind) {
    case 'typed':
      return {
        ...{ kind, cancelAfterMs, mutation: 'generateImage' },
        input: { prompt: `number ${salt}`, steps: 1 + (salt % 4), width: 64, height: 64, idempotencyKey },
      };
    case 'error':
      return raw(raising(salt, seconds, 'ValueError'), { maxAttempts: 1 });
    case 'memory':
      return raw(raising(salt, seconds, 'OOM'), { maxAttempts: 2 });
    case 'timeout':
      // it takes notice of an interrupt two seconds after its timeout
      return raw(sleeping(salt, 30, 10), { timeoutMs: 1000, maxAttempts: 1 });
    case 'deadline':
      return raw(sleeping(salt, seconds), { deadlineMs: 1 });
    case 'success':
    case 'cancel':
      return raw(sleeping(salt, kind === 'cancel' ? seconds + 0.3 : seconds));
  }
}

/** Sleeps in steps; it can be interrupted between two of them, and is on its instance until then. */
function sleeping(salt: number, seconds: number, steps = 10): JsonObject {
  return {
    '1': { class_type: 'RigSleep', inputs: { seconds, steps, preview: 'none', salt } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'slept' } },
  };
}

function raising(salt: number, seconds: number, kind: string): JsonObject {
  return {
    ...sleeping(salt, seconds),
    '2': { class_type: 'RigRaise', inputs: { kind, message: 'as it was ordered', salt, image: ['1', 0] } },
    '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'never' } },
  };
}

const SUBMIT = {
  submitJob: `mutation Submit($input: SubmitJobInput!) { result: submitJob(input: $input) {
    __typename ... on SubmitJobSuccess { job { id } } ... on Error { code message } } }`,
  generateImage: `mutation Submit($input: GenerateImageInput!) { result: generateImage(input: $input) {
    __typename ... on SubmitJobSuccess { job { id } } ... on Error { code message } } }`,
} as const;
const CANCEL = 'mutation Cancel($id: ID!) { cancelJob(input: { id: $id }) { __typename } }';

interface Submitted {
  readonly result: { readonly job?: { readonly id: string } };
}

/** Submits an order, and cancels it when that is a part of it; its id. */
export async function place(
  client: PatientClient,
  { mutation, input, cancelAfterMs }: Order,
): Promise<string> {
  const { result } = await client.run<Submitted>(SUBMIT[mutation], { input });
  if (!result.job) throw new Error(`a submit was refused: ${JSON.stringify(result)}`);
  if (cancelAfterMs !== null) {
    await sleep(cancelAfterMs);
    await client.run(CANCEL, { id: result.job.id });
  }
  return result.job.id;
}
