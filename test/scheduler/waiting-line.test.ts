import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { createRecorder, type Recorder } from '../../src/jobs/recorder.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { WaitingLine } from '../../src/scheduler/waiting-line.ts';
import { newJob } from '../support/new-job.ts';
import { openTempStore, type TempStore } from '../support/temp-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

let temp: TempStore;
let clock: VirtualClock;
let recorder: Recorder;
let line: WaitingLine;

beforeEach(async () => {
  temp = await openTempStore();
  onTestFinished(() => temp.close());
  clock = new VirtualClock();
  // its hints reach nobody
  const bus = new MemoryBus();
  const { store } = temp;
  recorder = createRecorder({ store, bus, clock, ids: () => 'unused', logger: createLogger('silent') });
  line = new WaitingLine(store.db);
  await refresh();
});

const refresh = () => line.refresh(clock.now(), clock.monotonic());
const submit = (id: string) => recorder.queue(defaultViewer, newJob(id));
const waiting = () => [...line.queue.ids()].sort();

describe('jobs whose hints were all lost', () => {
  it('are in the line within two seconds', async () => {
    await submit('a');
    await clock.advance(1999);
    await refresh();
    expect(waiting()).toEqual([]);
    await clock.advance(1);
    await refresh();
    expect(waiting()).toEqual(['a']);
  });

  it('are in the line within ten seconds also when as many left it unheard', async () => {
    await submit('a');
    line.note('a');
    await refresh();
    await recorder.cancel(defaultViewer, 'a');
    await submit('b');
    await clock.advance(9999);
    await refresh();
    expect(waiting()).toEqual(['a']);
    await clock.advance(1);
    await refresh();
    expect(waiting()).toEqual(['b']);
  });
});

describe('news that come while the store does not answer', () => {
  const failing = () => {
    const { db } = temp.store;
    const original = db.executeQuery;
    Object.assign(db, { executeQuery: () => Promise.reject(new Error('the store is away')) });
    return () => Object.assign(db, { executeQuery: original });
  };

  it('of one job are remembered', async () => {
    await submit('a');
    line.note('a');
    const heal = failing();
    await expect(refresh()).rejects.toThrow('the store is away');
    heal();
    await refresh();
    expect(waiting()).toEqual(['a']);
  });
});
