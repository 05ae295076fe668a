/** A database that crashes under a process that goes on: what that process was told it had written is still there. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { EventBus } from '../../src/events/bus.ts';
import { createRecorder } from '../../src/jobs/recorder.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { outputsOfJobs } from '../../src/store/outputs.ts';
import { alice, assignment, imageOutput, TERM } from '../jobs/recorder-bench.ts';
import { eventually } from '../support/eventually.ts';
import { newJob } from '../support/new-job.ts';
import { PostgresServer } from '../support/services/postgres-server.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

let server: PostgresServer;
let store: Store;
beforeEach(async () => {
  // what is not asked to reach the log of the database at once does not get there soon
  server = await PostgresServer.create({ wal_writer_delay: '10s' });
  await server.start();
  store = await openStore({ url: server.url, dataDir: '', logger: createLogger('silent') });
});
afterEach(async () => {
  await store?.stop();
  await server?.dispose();
});

it('an output that was recorded is not fetched again by its run, so it must survive a crash (F31)', async () => {
  const bus = { publish: () => undefined, forget: () => undefined } as unknown as EventBus;
  const clock = new VirtualClock();
  let made = 0;
  const ids = (): string => `id-${++made}`;
  const recorder = createRecorder({ store, bus, clock, ids, logger: createLogger('silent') });
  await recorder.queue(alice, newJob('job-1'));
  await recorder.assign(assignment('job-1', 'attempt-1'));
  await recorder.running('attempt-1', TERM);
  const output = await recorder.output('attempt-1', TERM, imageOutput('a'.repeat(64)));
  expect(output).not.toBeNull();
  await server.restart('immediate');
  await eventually(() => store.healthy());
  expect((await outputsOfJobs(store.db, 'any', ['job-1'])).get('job-1')).toMatchObject([{ id: output?.id }]);
}, 60_000);
