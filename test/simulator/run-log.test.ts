/** The evidence a simulated instance keeps of itself: every prompt and every run, also of processes that were killed. */
import { appendFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { RunLog } from '../../src/simulator/run-log.ts';
import type { SimulatorOptions } from '../../src/simulator/simulator.ts';
import { eventually } from '../support/eventually.ts';
import { openRig, plainPrompt, type Rig } from './run-prompt.ts';

const TAG = { fleet: 'f', job: 'j', attempt: 'a' };

async function open(options: SimulatorOptions = {}): Promise<Rig> {
  const rig = await openRig(options);
  onTestFinished(() => rig.close());
  return rig;
}
const submit = ({ post }: Rig, prompt_id: string, extra_data = {}, prompt: object = plainPrompt(1)) =>
  post('/prompt', { prompt, prompt_id, extra_data });

test('notes each prompt that reached the queue with the tag of its gateway, over restarts', async () => {
  const rig = await open({ faults: { workerDead: true } });
  const { simulator, get } = rig;
  await submit(rig, 'one', { comfyfleet: TAG, secret: 'not noted' });
  await submit(rig, 'one', { comfyfleet: TAG });
  await submit(rig, 'refused', {}, { '1': { class_type: 'Unknown', inputs: {} } });
  await simulator.control.restart();
  await submit(rig, 'of-a-person');
  const prompts = await (await get('/simulator/prompts')).json();
  expect(prompts).toMatchObject([
    { promptId: 'one', tag: TAG, answered: true },
    { promptId: 'one', tag: TAG, answered: true },
    { promptId: 'of-a-person', tag: null, answered: true },
  ]);
  expect(JSON.stringify(prompts)).not.toContain('not noted');
});

test('notes a prompt that was queued and never answered', async () => {
  const rig = await open({ faults: { crashOnPrompt: true } });
  await expect(submit(rig, 'one')).rejects.toThrow();
  expect(rig.simulator.control.prompts()).toMatchObject([{ promptId: 'one', answered: false }]);
});

test('keeps its notes in a file that outlives the process', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-log-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const logFile = join(folder, 'log.jsonl');
  const rig = await open({ logFile, stepMs: 1 });
  await submit(rig, 'one');
  await eventually(() => rig.simulator.control.executions()[0]?.outcome === 'success');
  // what a process that was killed leaves: a run without an end, and half a line
  const unfinished = { promptId: 'two', number: 1, clientId: null, startedAt: 1, endedAt: null };
  appendFileSync(logFile, `${JSON.stringify({ started: { ...unfinished, outcome: 'running' } })}\n{"answ`);
  const later = new RunLog(logFile);
  expect(later.prompts).toEqual(rig.simulator.control.prompts());
  expect(later.executions).toEqual([
    ...rig.simulator.control.executions(),
    { ...unfinished, outcome: 'died' },
  ]);
});
