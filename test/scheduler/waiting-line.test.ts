import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { MemoryBus } from '../../src/events/memory-bus.ts';
import { createRecorder, type Recorder } from '../../src/jobs/recorder.ts';
import { createIds } from '../../src/lib/ids.ts';
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
  recorder = createRecorder({ store, bus, clock, ids: createIds(clock), logger: createLogger('silent') });
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

  it('are in the line also when as many left it unheard', async () => {
    await submit('a');
    line.note('a');
    await refresh();
    await recorder.cancel(defaultViewer, 'a');
    await clock.advance(500);
    await submit('b');
    await clock.advance(2000);
    await refresh();
    expect(waiting()).toEqual(['b']);
  });
});

describe('rows of all waiting jobs', () => {
  it('are not read again while the queue is as they are, nor for those that just arrived', async () => {
    for (let n = 0; n < 20; n++) {
      await submit(`j${n}`);
      line.note(`j${n}`);
    }
    await refresh();
    const answered = countRows();
    for (let second = 0; second < 120; second++) {
      await submit(`later${second}`);
      await clock.advance(400);
      await submit(`last${second}`);
      await clock.advance(400);
      await refresh();
      for (const id of [`later${second}`, `last${second}`]) line.note(id);
      await clock.advance(200);
    }
    await refresh();
    expect(waiting()).toHaveLength(20 + 240);
    // each job once, and a sum every two seconds
    expect(answered()).toBeLessThanOrEqual(240 + 61);
  });
});

/** Rows that the store answers from now on. */
function countRows(): () => number {
  const { db } = temp.store;
  const original = db.executeQuery.bind(db);
  let rows = 0;
  Object.assign(db, {
    executeQuery: async (...given: Parameters<typeof original>) => {
      const result = await original(...given);
      rows += result.rows.length;
      return result;
    },
  });
  return () => rows;
}

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
