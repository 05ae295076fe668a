/** A recorder on a real store, with a bus that notes what it is told. */

import type { Viewer } from '../../src/domain/viewer.ts';
import type { EventBus } from '../../src/events/bus.ts';
import type { BusMessage } from '../../src/events/messages.ts';
import type { NewOutput } from '../../src/jobs/output-writer.ts';
import type { NewJob } from '../../src/jobs/queue-writer.ts';
import { createRecorder, type Recorder } from '../../src/jobs/recorder.ts';
import { createIds } from '../../src/lib/ids.ts';
import { createLogger } from '../../src/lib/logger.ts';
import type { Store } from '../../src/store/open.ts';
import { nameFiles } from '../support/named-files.ts';
import { newJob } from '../support/new-job.ts';
import { type EngineName, openTempStore, type TempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

export const alice: Viewer = { tenant: 'a', user: 'alice' };
export const bob: Viewer = { tenant: 'b', user: 'bob' };
export const TERM = 7;

export interface Bench extends TempStore {
  readonly recorder: Recorder;
  readonly clock: VirtualClock;
  readonly told: BusMessage[];
  readonly forgotten: string[];
  /** Called by the next publish; for a bus that fails. */
  onPublish: () => void;
  readonly ids: () => string;
  /** Another recorder on the same database, as another process has it. Postgres only. */
  anotherRecorder(): Promise<Recorder>;
  /** A job that waits; its id. Nothing but the job names the files it takes. */
  waiting(differences?: Partial<NewJob>, viewer?: Viewer): Promise<string>;
  /** A job that runs, with its open attempt. */
  started(slot?: number, differences?: Partial<NewJob>): Promise<{ jobId: string; attemptId: string }>;
  /** A job that has completed, with the given outputs. */
  completed(
    outputs?: NewOutput[],
    differences?: Partial<NewJob>,
  ): Promise<{ jobId: string; attemptId: string }>;
}

export async function openBench(engine: EngineName = 'SQLite'): Promise<Bench> {
  const temp = await openTempStore(engine);
  const clock = new VirtualClock();
  const ids = createIds(clock);
  const told: BusMessage[] = [];
  const forgotten: string[] = [];
  const bus = {
    publish: (message: BusMessage) => {
      bench.onPublish();
      told.push(message);
    },
    forget: (jobId: string) => forgotten.push(jobId),
  } as unknown as EventBus;
  const recorderOn = (store: Store): Recorder =>
    createRecorder({ store, bus, clock, ids, logger: createLogger('silent') });
  const recorder = recorderOn(temp.store);
  const bench: Bench = {
    ...temp,
    recorder,
    clock,
    told,
    forgotten,
    ids,
    onPublish: () => undefined,
    anotherRecorder: async () => recorderOn(await temp.openAnother()),
    async waiting(differences = {}, viewer = alice) {
      const id = ids();
      const { files = [] } = differences;
      const unname = await nameFiles(temp.store.db, viewer.tenant, files);
      await recorder.queue(viewer, newJob(id, differences));
      await unname();
      return id;
    },
    async started(slot = 0, differences = {}) {
      const jobId = await bench.waiting(differences);
      const attemptId = ids();
      const done = await recorder.assign(assignment(jobId, attemptId, slot));
      if (!done) throw new Error('not assigned');
      return { jobId, attemptId };
    },
    async completed(outputs = [], differences = {}) {
      const job = await bench.started(0, differences);
      for (const output of outputs) await recorder.output(job.attemptId, TERM, output);
      await recorder.collecting(job.attemptId, TERM);
      await recorder.complete(job.attemptId, TERM, 100);
      return job;
    },
  };
  return bench;
}

export function assignment(jobId: string, attemptId: string, slot = 0, term = TERM) {
  return { jobId, attemptId, instanceId: 'i1', instanceName: 'gpu-1', slot, term, deadlineAt: 2e12 };
}

export function imageOutput(sha256: string, ordinal = 0): NewOutput {
  return {
    node: '9',
    ordinal,
    kind: 'image',
    mimeType: 'image/png',
    filename: 'out.png',
    sha256,
    bytes: 10,
    width: 2,
    height: 2,
    text: null,
    temporary: false,
  };
}
