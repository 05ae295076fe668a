import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { SimulatorOptions } from '../../src/simulator/simulator.ts';
import { eventually } from '../support/eventually.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { CLIENT, openRig, paintPrompt, plainPrompt, type Rig } from './run-prompt.ts';

const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});
async function open(options: SimulatorOptions = {}): Promise<Rig> {
  const rig = await openRig(options);
  rigs.push(rig);
  return rig;
}

test('a run sends its messages in the order of ComfyUI', async () => {
  const { run, messages } = await open();
  await run(plainPrompt(1));
  await eventually(() => messages.some(({ data }) => data.node === null));
  expect(messages.map(({ type }) => type)).toEqual([
    'status',
    'status',
    'status',
    'execution_start',
    'execution_cached',
    'progress_state',
    'executing',
    'progress_state',
    'progress_state',
    'executing',
    'executed',
    'progress_state',
    'execution_success',
    'status',
    'executing',
  ]);
});

test('the close of an older socket silences the newer one with the same id', async () => {
  const rig = await open();
  const newer = new WebSocket(`${rig.simulator.url.replace('http', 'ws')}/ws?clientId=${CLIENT}`);
  const heard: string[] = [];
  newer.on('message', (data) => heard.push(String(data)));
  await eventually(() => heard.length === 1);
  rig.socket.close();
  await eventually(() => rig.simulator.control.socketCount() === 1);
  const { prompt_id } = (await (await rig.post('/prompt', { prompt: plainPrompt(1) })).json()) as {
    prompt_id: string;
  };
  await eventually(async () => prompt_id in (await rig.json(`/history/${prompt_id}`)));
  expect(heard).toHaveLength(1);
  expect(newer.readyState).toBe(WebSocket.OPEN);
  newer.terminate();
});

describe('time', () => {
  test('is the clock it is given', async () => {
    const clock = new VirtualClock();
    const rig = await open({ clock, stepMs: 1000, modelLoadMs: 5000 });
    await rig.post('/prompt', { prompt: paintPrompt({ steps: 2 }), client_id: CLIENT });
    const steps = () => rig.messages.filter(({ type }) => type === 'progress').length;
    const advance = async (ms: number): Promise<void> => {
      await eventually(() => clock.pending > 0);
      await clock.advance(ms);
    };
    await advance(5000);
    expect(steps()).toBe(0);
    await advance(1000);
    await eventually(() => steps() === 1);
    await advance(1000);
    await eventually(() => rig.messages.some(({ type }) => type === 'execution_success'));
  });
});

test('a resident model is not loaded again, a third one drives out the oldest', async () => {
  const { run, json, simulator } = await open({ residentModels: 1, vramTotalBytes: 10 * 1024 ** 3 });
  const free = async () => (await json('/system_stats')).devices as { vram_free: number }[];
  expect((await free())[0]?.vram_free).toBe(10 * 1024 ** 3);
  await run(paintPrompt());
  expect((await free())[0]?.vram_free).toBe(5 * 1024 ** 3);
  expect(simulator.control.executions()).toMatchObject([{ outcome: 'success', number: 0, clientId: CLIENT }]);
});

test('what it has can be chosen, and changed while it runs', async () => {
  const { json, post, run, simulator } = await open({
    models: { checkpoints: ['mine.safetensors'] },
    removeNodeClasses: ['KSampler'],
  });
  expect(await json('/models/checkpoints')).toEqual(['mine.safetensors']);
  expect(await json('/object_info/KSampler')).toEqual({});
  expect((await post('/prompt', { prompt: paintPrompt() })).status).toBe(400);
  await post('/simulator/options', { models: { checkpoints: [] }, removeNodeClasses: ['SaveLatent'] });
  expect(await json('/models/checkpoints')).toEqual([]);
  expect(await json('/object_info/SaveLatent')).toEqual({});
  expect((await post('/simulator/options', { stepMs: 'slow' })).status).toBe(400);
  expect((await run(plainPrompt(1))).status.status_str).toBe('success');
  expect(simulator.control.executions()).toHaveLength(1);
});

test('files and their numbers survive a stop when they have a folder of their own, temp files do not', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'simulator-test-'));
  const preview = { '3': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } } };
  try {
    const first = await openRig({ dataDir });
    const entry = await first.run({ ...plainPrompt(1), ...preview });
    await first.close();
    const second = await open({ dataDir });
    expect((await second.file(entry, '2')).length).toBeGreaterThan(0);
    expect(
      (await second.get(`/view?type=temp&filename=${entry.outputs['3']?.images?.[0]?.filename}`)).status,
    ).toBe(404);
    expect((await second.run(plainPrompt(1))).outputs['2']?.images).toMatchObject([
      { filename: 'plain_00002_.png' },
    ]);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

test('an interrupt takes effect at the next progress report', async () => {
  const rig = await open({ stepMs: 2 });
  const { prompt_id } = (await (
    await rig.post('/prompt', { prompt: paintPrompt({ steps: 1000 }), client_id: CLIENT })
  ).json()) as {
    prompt_id: string;
  };
  await eventually(() => rig.messages.some(({ type }) => type === 'progress'));
  await rig.post('/interrupt', { prompt_id: 'another' });
  await rig.post('/interrupt', { prompt_id });
  await eventually(() => rig.messages.some(({ type }) => type === 'execution_interrupted'));
  await eventually(async () => prompt_id in (await rig.json(`/history/${prompt_id}`)));
  expect(rig.simulator.control.executions()).toMatchObject([{ outcome: 'interrupted' }]);
});

test('stopping twice is fine, and the port is free afterwards', async () => {
  const { simulator } = await open();
  await simulator.stop();
  await simulator.stop();
  await expect(fetch(`${simulator.url}/queue`)).rejects.toThrow();
});
