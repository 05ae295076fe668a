/** Small jobs one after the other, each waited for: how long clients of a gateway under load wait for theirs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TestClient } from '../../test/support/graphql-client.ts';
import { noiseInto } from '../../test/support/graphs.ts';

const MAX_REFUSED = 100;

const SUBMIT = `mutation ($graph: JSONObject!) { submitJob(input: { graph: $graph, priority: 10, waitMs: 60000 }) {
  ... on SubmitJobSuccess { job { status queueMs } } ... on Error { code } } }`;

export interface QuickTimes {
  /** From the request to the answer that it has ended, in ms. */
  readonly whole: readonly number[];
  /** Until an instance had it. */
  readonly queued: readonly number[];
  /** Submits that got an error in place of an answer, and were sent again after a moment. */
  readonly refused: number;
}

interface Answer {
  readonly submitJob: { readonly job?: { readonly status: string; readonly queueMs: number } };
}

/** Until aborted, at least `atLeast` of them, one every so many ms. @throws when one does not complete. */
export async function quickJobs(
  url: string,
  atLeast: number,
  signal: AbortSignal,
  everyMs = 20,
): Promise<QuickTimes> {
  const client = new TestClient(url);
  const whole: number[] = [];
  const queued: number[] = [];
  let refused = 0;
  let at = performance.now();
  while (!signal.aborted || whole.length < atLeast) {
    const graph = noiseInto('SaveImage', { filename_prefix: `quick${Math.random()}` });
    const { data } = await client.ask<Answer>(SUBMIT, { graph });
    if (!data) {
      refused += 1;
      if (refused > MAX_REFUSED) throw new Error('quick jobs are refused all the time');
      await sleep(100);
      continue;
    }
    const { submitJob } = data;
    if (submitJob.job?.status !== 'COMPLETED')
      throw new Error(`a quick job did not complete: ${JSON.stringify(submitJob)}`);
    whole.push(performance.now() - at);
    queued.push(submitJob.job.queueMs);
    await sleep(Math.max(5, at + everyMs - performance.now()));
    at = performance.now();
  }
  await client.close();
  return { whole, queued, refused };
}
