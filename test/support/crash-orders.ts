/** Jobs of a client whose gateway may die at any moment: asked for, asked for again, and looked at in the end. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { JsonObject } from '../../src/lib/json.ts';
import type { CrashScene } from './crash-scene.ts';
import { eventually } from './eventually.ts';
import { ended, findJob, type JobView, jobThat, submitted } from './jobs.ts';

export interface Order {
  readonly mutation: string;
  readonly input: JsonObject & { readonly idempotencyKey: string; readonly labels: JsonObject };
  /** Null as long as nobody answered. */
  id: string | null;
}

/** Null when the gateway died before it answered. */
export async function answered<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    // what fetch throws for a connection that broke
    if (error instanceof TypeError) return null;
    throw error;
  }
}

export async function place(scene: CrashScene, mutation: string, input: JsonObject): Promise<Order> {
  const name = `order-${scene.next()}`;
  const whole = { ...input, idempotencyKey: name, labels: { order: name } };
  const job = await answered(submitted(scene.client, mutation, whole));
  if (job) scene.promise(job.id);
  return { mutation, input: whole, id: job?.id ?? null };
}

/** Asks again with the same key, as a client does that had no answer: it is the same job, and the only one. */
export async function repeat(scene: CrashScene, order: Order): Promise<string> {
  const { id } = await submitted(scene.client, order.mutation, order.input);
  if (order.id !== null) assert.equal(id, order.id);
  order.id = id;
  scene.promise(id);
  assert.deepEqual(await jobsOf(scene, order), [id]);
  return id;
}

/** Ids of the jobs that the order made. */
export async function jobsOf(scene: CrashScene, { input }: Order): Promise<string[]> {
  const { jobs } = await scene.client.run<{ jobs: { nodes: { id: string }[] } }>(
    'query ($label: JSONObject!) { jobs(filter: { label: $label }) { nodes { id } } }',
    { label: input.labels },
  );
  return jobs.nodes.map(({ id }) => id);
}

export interface Expected {
  readonly status?: JobView['status'];
  /** How often it ran on the instance. */
  readonly runs?: number;
  readonly code?: string;
}

/** The order has become one job that ended as it should, with one result; whoever listened heard one end. */
export async function fulfilled(scene: CrashScene, order: Order, expected: Expected = {}): Promise<JobView> {
  const { status = 'COMPLETED', runs = 1, code } = expected;
  const id = order.id ?? (await repeat(scene, order));
  const job = await ended(scene.client, id);
  assert.equal(job.status, status, JSON.stringify(job));
  assert.equal(job.error?.code, code);
  assert.equal(scene.runsOf(job).length, runs, JSON.stringify(scene.runsOf(job)));
  assert.equal(job.outputs.length, status === 'COMPLETED' ? 1 : 0);
  for (const { url, sha256 } of job.outputs) {
    const bytes = await (await fetch(url ?? '')).arrayBuffer();
    assert.equal(createHash('sha256').update(Buffer.from(bytes)).digest('hex'), sha256);
  }
  await scene.heardEnd(id);
  await repeat(scene, order);
  return job;
}

/** A job that runs until the instance is told to `hurry`; on its way when this resolves. */
export async function placeLong(scene: CrashScene): Promise<Order & { readonly id: string }> {
  scene.instance.control.adjust({ stepMs: 400 });
  const input = { prompt: `long ${scene.next()}`, steps: 150, width: 64, height: 64 };
  const order = await place(scene, 'generateImage', input);
  assert(order.id, 'the gateway lives');
  await jobThat(scene.client, order.id, ({ progress }) => progress.step !== null);
  return { ...order, id: order.id };
}

export function hurry(scene: CrashScene): void {
  scene.instance.control.adjust({ stepMs: 0 });
}

export async function jobOf(scene: CrashScene, order: Order & { readonly id: string }): Promise<JobView> {
  const job = await findJob(scene.client, order.id);
  assert(job, 'the job is there');
  return job;
}

/** The instance runs nothing any more. */
export async function idle(scene: CrashScene): Promise<void> {
  const running = () => scene.instance.control.executions().some(({ outcome }) => outcome === 'running');
  await eventually(() => !running(), { what: 'the instance is free' });
}
