import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { Rig, type RigOptions, sleepGraph } from './rig.ts';

let rig: Rig | undefined;

async function start(options: RigOptions = {}): Promise<Rig> {
  rig = await Rig.start(options);
  return rig;
}

afterEach(async () => {
  await rig?.stop();
  rig = undefined;
});

describe('the scheduler, on the way everything goes well', () => {
  it('runs a job on an instance and stores what it made', async () => {
    const it = await start();
    const id = await it.submit(sleepGraph(0.05));
    const job = await it.ended(id);
    expect(job).toMatchObject({ status: 'COMPLETED', error: null, attemptCount: 1 });
    expect(job.runMs).toBeGreaterThan(0);
    const [output] = await it.outputs(id);
    expect(output).toMatchObject({ node: '2', kind: 'image', mimeType: 'image/png', temporary: false });
    expect(await it.storage.stat('default', output?.sha256 ?? '')).toEqual({ bytes: output?.bytes });
    expect(it.executions()).toHaveLength(1);
    expect(it.executions()[0]?.promptId).toBe((await it.attempts(id))[0]?.id);
  });
});
