/** The other requests while jobs expire, from a process of their own: submits, jobs by id and pages, one after the other. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TestClient } from '../test/support/graphql-client.ts';

export const REQUESTS = ['submit', 'a job by id', 'a page of jobs'] as const;
export type Latencies = Readonly<Record<(typeof REQUESTS)[number], number[]>>;

const PAUSE_MS = 10;
const SUBMIT =
  'mutation ($graph: JSONObject!) { submitJob(input: { graph: $graph }) { ... on SubmitJobSuccess { job { id } } } }';
const GRAPH = {
  1: { class_type: 'EmptyImage', inputs: { width: 16, height: 16, batch_size: 1, color: 0 } },
  2: { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'bench' } },
};

/** In ms, until the signal aborts. */
async function ask(client: TestClient, signal: AbortSignal): Promise<Latencies> {
  const latencies: Latencies = { submit: [], 'a job by id': [], 'a page of jobs': [] };
  const timed = async <T>(name: keyof Latencies, query: string, variables: object): Promise<T> => {
    const begunAt = performance.now();
    const data = await client.run<T>(query, { ...variables });
    latencies[name].push(performance.now() - begunAt);
    await sleep(PAUSE_MS);
    return data;
  };
  while (!signal.aborted) {
    const { submitJob } = await timed<{ submitJob: { job?: { id: string } } }>('submit', SUBMIT, {
      graph: GRAPH,
    });
    const id = submitJob.job?.id;
    if (!id) throw new Error('a submit was refused');
    await timed('a job by id', 'query ($id: ID!) { job(id: $id) { id status attempts { id } } }', { id });
    await timed('a page of jobs', '{ jobs(first: 20) { nodes { id status createdAt } } }', {});
  }
  return latencies;
}

const [url] = process.argv.slice(2);
if (process.send && url) {
  const client = new TestClient(url);
  const stop = new AbortController();
  process.once('message', () => stop.abort());
  const latencies = await ask(client, stop.signal);
  process.send(latencies, () => process.disconnect());
}
