/** A gateway whose disk is full: results wait, nothing is run again, nothing that was acknowledged is lost. */
import { describe, expect, it } from 'vitest';
import { defaultViewer } from '../../src/domain/viewer.ts';
import { eventually } from '../support/eventually.ts';
import { fillDatabase } from '../support/full-database.ts';
import { FullStorage } from '../support/full-storage.ts';
import { type Rig, type RigOptions, sleepGraph, startRig } from './rig.ts';

async function rigWithFullDisk(options: RigOptions = {}): Promise<{ gateway: Rig; storage: FullStorage }> {
  let storage: FullStorage | undefined;
  const wrapStorage: RigOptions['wrapStorage'] = (disk) => {
    storage = new FullStorage(disk);
    storage.room = 'none';
    return storage;
  };
  const gateway = await startRig({ ...options, wrapStorage });
  if (!storage) throw new Error('the rig made no storage');
  return { gateway, storage };
}

const collecting = (gateway: Rig, id: string) =>
  eventually(async () => (await gateway.attempts(id))[0]?.state === 'COLLECTING');

describe('jobs, while there is no space to store what they made', () => {
  it('wait with their results on the instance and complete once there is, without running again (F35)', async () => {
    const { gateway, storage } = await rigWithFullDisk();
    const ids = [await gateway.submit(sleepGraph(0.05)), await gateway.submit(sleepGraph(0.05))];
    await collecting(gateway, ids[0] as string);
    await eventually(() => storage.refused >= 2);
    expect((await gateway.attempts(ids[0] as string)).map((one) => one.state)).toEqual(['COLLECTING']);
    storage.room = 'enough';
    for (const id of ids) expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(gateway.executions()).toHaveLength(2);
    await gateway.judged({ acknowledged: ids });
  });

  it('can be canceled, and are taken over by the next start (F35)', async () => {
    const { gateway, storage } = await rigWithFullDisk();
    const unwanted = await gateway.submit(sleepGraph(0.02));
    await collecting(gateway, unwanted);
    await gateway.recorder.cancel(defaultViewer, unwanted);
    const kept = await gateway.submit(sleepGraph(0.02));
    await collecting(gateway, kept);
    expect((await gateway.attempts(unwanted))[0]?.state).toBe('CANCELED');
    await gateway.shutDown();
    storage.room = 'enough';
    await gateway.boot();
    expect((await gateway.ended(kept)).status).toBe('COMPLETED');
    expect(gateway.executions()).toHaveLength(2);
    await gateway.judged({ acknowledged: [unwanted, kept] });
  });

  it('fail retryably when patience is at its end (F35)', async () => {
    const { gateway, storage } = await rigWithFullDisk({ config: { storageFullPatienceMs: 200 } });
    const id = await gateway.submit(sleepGraph(0.02), { maxAttempts: 1 });
    expect(await gateway.ended(id)).toMatchObject({
      status: 'FAILED',
      error: {
        code: 'OUTPUT_UNAVAILABLE',
        retryable: true,
        message: 'there is no space left to store an output file',
      },
    });
    storage.room = 'enough';
    await gateway.judged({ acknowledged: [id] });
  });

  it('go on when the database was full too: no acknowledged job is lost, none runs twice (F35)', async () => {
    const gateway = await startRig();
    const running = await gateway.submit(sleepGraph(0.3));
    const waiting = await gateway.submit(sleepGraph(0.02));
    await eventually(() => gateway.executions().length === 1);
    const makeRoom = await fillDatabase(gateway.store.db);
    const large = { ...sleepGraph(0.02), '3': { class_type: 'Note', inputs: { text: 'x'.repeat(5000) } } };
    await expect(gateway.submit(large)).rejects.toMatchObject({ code: 'SQLITE_FULL' });
    await eventually(() => gateway.executions()[0]?.outcome === 'success');
    await makeRoom();
    for (const id of [running, waiting]) expect((await gateway.ended(id)).status).toBe('COMPLETED');
    expect(gateway.executions()).toHaveLength(2);
    await gateway.judged({ acknowledged: [running, waiting] });
  });
});
