import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { noFaults, parseFaults } from '../../src/simulator/faults.ts';
import type { SimulatorOptions } from '../../src/simulator/simulator.ts';
import { eventually } from '../support/eventually.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { CLIENT, openRig, paintPrompt, plainPrompt, type Rig } from './run-prompt.ts';

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});
async function open(options: SimulatorOptions = {}): Promise<Rig> {
  rig = await openRig(options);
  return rig;
}
const submit = (to: Rig, prompt = plainPrompt(1)) => to.post('/prompt', { prompt, client_id: CLIENT });
const closed = (to: Rig) => eventually(() => to.socket.readyState === WebSocket.CLOSED);

describe('faults as data', () => {
  test('change only what they name', async () => {
    const { simulator, post, json } = await open();
    await post('/simulator/faults', { lateHistoryMs: 5, ignoreInterrupts: true });
    expect(await json('/simulator/faults')).toEqual({
      ...noFaults(),
      lateHistoryMs: 5,
      ignoreInterrupts: true,
    });
    simulator.control.clearFaults();
    expect(await json('/simulator/faults')).toEqual(noFaults());
  });
  test.each([
    [{ unknown: 1 }],
    [{ frozen: 'yes' }],
    [{ cutBodies: 'all' }],
    [{ nodeErrors: { A: 1 } }],
    [{ outOfMemory: 'x' }],
    [{ stickyError: { type: 'RuntimeError' } }],
    [{ lateHistoryMs: [1] }],
    [7],
  ])('are refused when wrong: %j', (body) => {
    expect(typeof parseFaults(body as never)).toBe('string');
  });
});

/** Blurs a plain picture: the one step that needs the graphics card. */
function blurPrompt(color: number): Record<string, unknown> {
  return {
    ...plainPrompt(color),
    '3': { class_type: 'ImageBlur', inputs: { image: ['1', 0], blur_radius: 2, sigma: 1 } },
    '4': { class_type: 'PreviewImage', inputs: { images: ['3', 0] } },
  };
}

test('a sticky error fails every node that computes, and only a restart heals it', async () => {
  const stickyError = { type: 'RuntimeError', message: 'CUDA error: an illegal memory access' };
  const opened = await open({ faults: { stickyError } });
  const { simulator, run } = opened;
  for (const color of [1, 2]) {
    const { status } = await run(blurPrompt(color));
    expect(JSON.stringify(status.messages)).toContain('illegal memory access');
  }
  expect((await run(plainPrompt(3))).status.status_str).toBe('success');
  await simulator.control.restart();
  const { prompt_id } = (await (await submit(opened, blurPrompt(4))).json()) as { prompt_id: string };
  const entry = await eventually(async () => (await opened.json(`/history/${prompt_id}`))[prompt_id]);
  expect(entry).toMatchObject({ status: { status_str: 'success' }, outputs: { '4': expect.anything() } });
});

test('a start that takes its time refuses connections until it is over', async () => {
  const clock = new VirtualClock();
  const opened = await open({ clock });
  opened.simulator.control.adjust({ bootMs: 120_000 });
  const restarted = opened.simulator.control.restart();
  await closed(opened);
  await clock.advance(119_000);
  await expect(opened.get('/prompt')).rejects.toThrow();
  await clock.advance(1000);
  await restarted;
  expect((await opened.get('/prompt')).status).toBe(200);
});

describe('a crash', () => {
  test('breaks every connection without a close frame, and a restart forgets all but files', async () => {
    const { simulator, run, get, json, socket } = await open();
    const code = new Promise((resolve) => socket.once('close', resolve));
    await run(plainPrompt(1));
    await simulator.control.crash();
    expect(await code).toBe(1006);
    await expect(get('/queue')).rejects.toThrow();
    const { url } = simulator;
    await simulator.control.restart();
    expect(simulator.url).toBe(url);
    expect(await json('/history')).toEqual({});
    expect((await get('/view?filename=plain_00001_.png')).status).toBe(200);
    expect(((await (await submit(rig as Rig)).json()) as { number: number }).number).toBe(0);
  });

  test('at a share of the progress leaves a died run in the log and can come back by itself', async () => {
    const opened = await open({ faults: { crashAtProgress: 0.5, restartAfterMs: 1 } });
    await submit(opened, paintPrompt({ steps: 4 }));
    await closed(opened);
    await eventually(() => opened.simulator.control.alive());
    await eventually(async () => (await opened.get('/queue').catch(() => undefined))?.ok);
    expect(await opened.json('/queue')).toEqual({ queue_running: [], queue_pending: [] });
    expect(opened.simulator.control.executions()).toMatchObject([{ outcome: 'died', clientId: CLIENT }]);
  });

  test('on a prompt leaves the client without an answer', async () => {
    const crashes: string[] = [];
    const opened = await open({ faults: { crashOnPrompt: true }, onCrash: (reason) => crashes.push(reason) });
    await expect(submit(opened)).rejects.toThrow();
    expect(crashes).toEqual(['crash on prompt']);
  });
});

test('a frozen process answers nothing and goes on where it was', async () => {
  const { simulator, get, socket } = await open();
  simulator.control.freeze();
  let answered = false;
  const reply = get('/queue').then((response) => {
    answered = true;
    return response.status;
  });
  let ponged = false;
  socket.once('pong', () => {
    ponged = true;
  });
  socket.ping();
  expect((await get('/simulator/faults')).status).toBe(200);
  expect([answered, ponged]).toEqual([false, false]);
  simulator.control.thaw();
  expect(await reply).toBe(200);
  await eventually(() => ponged);
});

test('a dead worker takes prompts and never runs them, HTTP stays healthy', async () => {
  const opened = await open({ faults: { workerDead: true } });
  await submit(opened);
  const queue = await opened.json('/queue');
  expect(queue.queue_pending).toHaveLength(1);
  expect((await opened.get('/system_stats')).status).toBe(200);
  expect(opened.simulator.control.executions()).toEqual([]);
});

test('deaf sockets stay open and hear nothing', async () => {
  const opened = await open();
  opened.simulator.control.setFaults({ deafSockets: true });
  const heard = opened.messages.length;
  const { prompt_id } = (await (await submit(opened)).json()) as { prompt_id: string };
  await eventually(async () => prompt_id in (await opened.json(`/history/${prompt_id}`)));
  expect(opened.messages.length).toBe(heard);
  expect(opened.socket.readyState).toBe(WebSocket.OPEN);
});

test('hanging up and refusing leaves no socket, and HTTP works', async () => {
  const opened = await open();
  opened.simulator.control.setFaults({ refuseSockets: true });
  opened.simulator.control.hangUp();
  await closed(opened);
  const again = new WebSocket(`${opened.simulator.url.replace('http', 'ws')}/ws?clientId=b`);
  const error = await new Promise<Error>((resolve) => again.once('error', resolve));
  expect(error.message).toContain('503');
  expect((await opened.get('/queue')).status).toBe(200);
});

test('a cut body ends early, a slow one comes whole', async () => {
  const opened = await open();
  const entry = await opened.run(plainPrompt(1));
  opened.simulator.control.setFaults({ cutBodies: 10 });
  await expect(opened.file(entry, '2')).rejects.toThrow();
  opened.simulator.control.setFaults({ cutBodies: null, slowBodies: 2000 });
  expect((await opened.file(entry, '2')).subarray(-8, -4).toString()).toBe('IEND');
});

describe('a node that fails', () => {
  test('runs out of memory with the texts of torch', async () => {
    const { run } = await open({ faults: { outOfMemory: 'error' } });
    const { status } = await run(paintPrompt());
    expect(status.messages.at(-1)).toMatchObject([
      'execution_error',
      {
        node_id: '3',
        exception_type: 'torch.OutOfMemoryError',
        exception_message: expect.stringContaining('TIPS:'),
      },
    ]);
  });
  test('raises what was asked for, and is well again afterwards', async () => {
    const { run, simulator } = await open({
      faults: { nodeErrors: { SaveImage: { type: 'OSError', message: 'disk full' } } },
    });
    const failed = await run(plainPrompt(1));
    expect(failed.status).toMatchObject({ status_str: 'error', completed: false });
    expect(failed.status.messages.at(-1)?.[1]).toMatchObject({
      exception_type: 'OSError',
      exception_message: 'disk full\n',
    });
    simulator.control.clearFaults();
    expect((await run(plainPrompt(1))).status.status_str).toBe('success');
  });
});

test('a late history entry comes after execution_success', async () => {
  const opened = await open({ faults: { lateHistoryMs: [60, 80] } });
  const { prompt_id } = (await (await submit(opened)).json()) as { prompt_id: string };
  await eventually(() => opened.messages.some(({ type }) => type === 'execution_success'));
  expect(await opened.json(`/history/${prompt_id}`)).toEqual({});
  await eventually(async () => prompt_id in (await opened.json(`/history/${prompt_id}`)));
});

test('refused prompts are answered with the given status', async () => {
  const opened = await open({ faults: { refusePrompts: 503 } });
  expect((await submit(opened)).status).toBe(503);
});

test('uploads can be made to be renamed', async () => {
  const opened = await open({ faults: { uploadRenames: true } });
  const form = new FormData();
  form.set('image', new Blob(['bytes']), 'a.png');
  const reply = await fetch(`${opened.simulator.url}/upload/image`, { method: 'POST', body: form });
  expect(await reply.json()).toEqual({ name: 'a (1).png', subfolder: '', type: 'input' });
});

test('an interrupt can be ignored', async () => {
  const opened = await open({ faults: { ignoreInterrupts: true }, stepMs: 5 });
  const { prompt_id } = (await (await submit(opened, paintPrompt({ steps: 10 }))).json()) as {
    prompt_id: string;
  };
  await eventually(() => opened.messages.some(({ type }) => type === 'progress'));
  expect((await opened.post('/interrupt', { prompt_id })).status).toBe(200);
  await eventually(() => opened.messages.some(({ type }) => type === 'execution_success'));
});
