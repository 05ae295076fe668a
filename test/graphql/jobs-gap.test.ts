import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Instance } from '../../src/domain/instance.ts';
import type { Job } from '../../src/domain/job.ts';
import type { JobFilter } from '../../src/domain/job-filter.ts';
import { defaultViewer } from '../../src/domain/viewer.ts';
import type { GraphqlContext } from '../../src/graphql/context.ts';
import { createLoaders } from '../../src/graphql/loaders.ts';
import { PlaceBoard } from '../../src/graphql/place-board.ts';
import type { Services } from '../../src/graphql/services.ts';
import { followJobs } from '../../src/graphql/streams/jobs-stream.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { Gate } from '../../src/lib/gate.ts';
import { Turns } from '../../src/lib/turns.ts';
import { startGateway, TERM, type TestGateway } from '../support/gateway.ts';

let gateway: TestGateway;
let instance: Instance;
let slot = 0;
beforeAll(async () => {
  gateway = await startGateway({ LOG_LEVEL: 'silent' });
  instance = await gateway.addInstance('gpu');
});
afterAll(() => gateway.stop());

function follow(filter: JobFilter): AsyncIterableIterator<Job> {
  const services = { ...gateway, clock: systemClock } as unknown as Services;
  const gate = new Gate(1);
  const places = new PlaceBoard(services, gate, new AbortController().signal);
  const loaders = createLoaders(services, places, defaultViewer);
  return followJobs(
    { services, viewer: defaultViewer, loaders, turns: new Turns(10) } as unknown as GraphqlContext,
    filter,
  );
}

/** More than a mailbox holds, all at once. */
function overflow(): void {
  const change = { type: 'durable', event: { type: 'queued' } } as const;
  for (let n = 0; n < 300; n++) {
    gateway.bus.publish({ kind: 'job', jobId: `x${n}`, tenant: 'default', seq: 1, at: 0, change });
  }
}

const run = (job: Job): Promise<string> => gateway.assign(job.id, instance, slot++);
async function finish(attempt: string): Promise<void> {
  await gateway.recorder.collecting(attempt, TERM);
  await gateway.recorder.complete(attempt, TERM, 5);
}

/** Everything it sends until the last of these jobs was seen. */
async function seenUntil(jobs: AsyncIterableIterator<Job>, ids: readonly string[]): Promise<string[]> {
  const missing = new Set(ids);
  const seen: string[] = [];
  while (missing.size > 0) {
    const { value, done } = await jobs.next();
    if (done) throw new Error('the stream ended');
    seen.push(`${value.id} ${value.status}`);
    missing.delete(value.id);
  }
  return seen;
}

describe('a subscriber of many jobs who lost messages (F39)', () => {
  it('is told of what ran, of what came, and of what came and ended meanwhile, each once', async () => {
    const [running, alone] = [await gateway.addJob(), await gateway.addJob()];
    const attempt = await run(running);
    const jobs = follow({});
    expect((await jobs.next()).value).toMatchObject({ id: running.id, status: 'PROCESSING' });
    // it reads nothing of all this
    await gateway.recorder.cancel(defaultViewer, alone.id);
    const brief = await gateway.addJob();
    await finish(await run(brief));
    const came = await gateway.addJob();
    await finish(attempt);
    overflow();

    const seen = await seenUntil(jobs, [running.id, alone.id, brief.id, came.id]);

    expect(seen.sort()).toEqual(
      [
        `${running.id} COMPLETED`,
        `${alone.id} CANCELED`,
        `${brief.id} COMPLETED`,
        `${came.id} PENDING`,
      ].sort(),
    );
    await gateway.recorder.cancel(defaultViewer, came.id);
    expect((await jobs.next()).value).toMatchObject({ id: came.id, status: 'CANCELED' });
    await jobs.return?.();
  });

  it('is told of what left its filter meanwhile, and not of what never was in it', async () => {
    const [first, waiting] = [await gateway.addJob(), await gateway.addJob()];
    const jobs = follow({ status: ['PENDING', 'PROCESSING'], label: { a: 1 } });
    const marked = await gateway.addJob({ labels: { a: 1 } });
    const reading = jobs.next();
    await run(marked);
    expect((await reading).value).toMatchObject({ id: marked.id });
    await gateway.recorder.cancel(defaultViewer, first.id);
    await gateway.recorder.cancel(defaultViewer, marked.id);
    const other = await gateway.addJob({ labels: { a: 2 } });
    overflow();
    expect(await seenUntil(jobs, [marked.id])).toEqual([`${marked.id} CANCELED`]);
    const last = await gateway.addJob({ labels: { a: 1 } });
    expect(await seenUntil(jobs, [last.id])).toEqual([`${last.id} PENDING`]);
    for (const { id } of [waiting, other, last]) await gateway.recorder.cancel(defaultViewer, id);
    await jobs.return?.();
  });

  it('is told of a change that was committed long after it was dated', async () => {
    const slow = await gateway.addJob({ labels: { a: 3 } });
    const jobs = follow({ label: { a: 3 } });
    const reading = jobs.next();
    const first = await gateway.addJob({ labels: { a: 3 } });
    expect((await reading).value).toMatchObject({ id: first.id });
    // as after a pool that was full and a statement that hung
    await gateway.recorder.cancel(defaultViewer, slow.id);
    const at = Date.now() - 20_000;
    const { db } = gateway.store;
    await db.updateTable('jobs').set({ finished_at: at, updated_at: at }).where('id', '=', slow.id).execute();
    await db.updateTable('job_events').set({ at }).where('job_id', '=', slow.id).execute();
    overflow();
    expect(await seenUntil(jobs, [slow.id])).toEqual([`${slow.id} CANCELED`]);
    await gateway.recorder.cancel(defaultViewer, first.id);
    await jobs.return?.();
  });
});
