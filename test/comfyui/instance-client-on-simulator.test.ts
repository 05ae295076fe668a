/** The whole client against the simulated ComfyUI: a run from post to file, and the ways in which things break. */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { decideEnd } from '../../src/comfyui/history.ts';
import type { ComfyMessage } from '../../src/comfyui/messages.ts';
import { collectOutputItems } from '../../src/comfyui/output-items.ts';
import { placeInQueue } from '../../src/comfyui/queue.ts';
import type { SocketClose } from '../../src/comfyui/socket-options.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import { createLogger } from '../../src/lib/logger.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { eventually } from '../support/eventually.ts';
import { InstanceClient } from '../support/instance-client.ts';

const SOON = { deadlineMs: 5000 };
const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Rig {
  readonly simulator: Simulator;
  readonly client: InstanceClient;
  readonly messages: ComfyMessage[];
  readonly closes: SocketClose[];
  /** Posts a graph and answers its id. */
  post(prompt: JsonObject): Promise<string>;
  /** Resolves when the socket has said that the prompt ended. */
  ended(promptId: string): Promise<unknown>;
}

async function start(options: SimulatorOptions = {}): Promise<Rig> {
  const simulator = await startSimulator(options);
  ends.push(() => simulator.stop());
  const messages: ComfyMessage[] = [];
  const closes: SocketClose[] = [];
  const clientId = randomUUID();
  const client = new InstanceClient({
    url: simulator.url,
    clock: systemClock,
    random: () => 0,
    logger: createLogger('silent'),
    socket: {
      clientId: () => clientId,
      onMessage: (message) => messages.push(message),
      onClose: (close) => closes.push(close),
    },
  });
  await client.start();
  ends.push(() => client.stop());
  await eventually(() => messages.some((message) => message.kind === 'featureFlags'));
  return {
    simulator,
    client,
    messages,
    closes,
    async post(prompt) {
      const promptId = randomUUID();
      const reply = await client.http.postPrompt({ prompt, promptId, clientId, extraData: {} }, SOON);
      expect(reply).toEqual({ kind: 'accepted' });
      return promptId;
    },
    ended: (promptId) =>
      eventually(() =>
        messages.some(
          (message) => message.kind === 'executing' && message.node === null && message.promptId === promptId,
        ),
      ),
  };
}

/** Samples a picture; each salt is a picture of its own. */
function sampling(salt: number, steps = 3): JsonObject {
  return {
    '4': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'v1-5-pruned-emaonly.safetensors' } },
    '5': { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } },
    '6': { class_type: 'CLIPTextEncode', inputs: { text: 'a cat', clip: ['4', 1] } },
    '3': {
      class_type: 'KSampler',
      inputs: {
        seed: salt,
        steps,
        cfg: 7,
        sampler_name: 'euler',
        scheduler: 'normal',
        denoise: 1,
        model: ['4', 0],
        positive: ['6', 0],
        negative: ['6', 0],
        latent_image: ['5', 0],
      },
    },
    '8': { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['4', 2] } },
    '9': { class_type: 'SaveImage', inputs: { filename_prefix: `gw/${salt}/out`, images: ['8', 0] } },
  };
}

describe('a run', () => {
  it('goes from the post over live progress and previews to the bytes of its picture', async () => {
    const { client, messages, post, ended } = await start({ previewMethod: 'latent', stepMs: 5 });
    const promptId = await post(sampling(1));
    await ended(promptId);

    const kinds = new Set(messages.map((message) => message.kind));
    for (const kind of [
      'executionStart',
      'executionCached',
      'progress',
      'progressState',
      'executed',
      'executionSuccess',
    ] as const) {
      expect(kinds).toContain(kind);
    }
    expect(messages.filter((message) => message.kind === 'malformed' || message.kind === 'unknown')).toEqual(
      [],
    );
    const preview = messages.find((message) => message.kind === 'preview');
    expect(preview).toMatchObject({ metadata: true, promptId, nodeId: '3', mimeType: 'image/jpeg' });

    const history = await client.http.getHistoryEntry(promptId, SOON);
    if (!history.ok || !history.value) throw new Error('no history');
    expect(decideEnd(history.value)).toEqual({ kind: 'succeeded' });
    const [item] = collectOutputItems(history.value.outputs).items;
    if (item?.kind !== 'file') throw new Error('no file');
    expect(item).toMatchObject({ node: '9', file: { subfolder: 'gw/1', type: 'output' } });
    const file = await client.http.view(item.file, SOON);
    if (!file.ok) throw new Error(file.message);
    expect(file.contentType).toBe('image/png');
    const bytes = await buffer(file.body);
    expect(bytes.length).toBe(file.contentLength);
    expect(bytes.subarray(1, 4).toString()).toBe('PNG');
  });

  it('takes an uploaded file back under the name that the server gave it (F25)', async () => {
    const { client } = await start({ faults: { uploadRenames: true } });
    const content = Buffer.from('not really a picture');
    const stored = await client.http.upload(
      {
        filename: 'in.png',
        mimeType: 'image/png',
        size: content.length,
        content: Readable.from([content]),
        type: 'input',
      },
      SOON,
    );
    if (!stored.ok) throw new Error(stored.message);
    expect(stored.value.filename).not.toBe('in.png');
    const file = await client.http.view(stored.value, SOON);
    if (!file.ok) throw new Error(file.message);
    expect(await buffer(file.body)).toEqual(content);
  });

  it('is refused with the node and input at fault when a model is missing', async () => {
    const { client } = await start({ models: { checkpoints: ['another.safetensors'] } });
    const posted = { prompt: sampling(1), promptId: randomUUID(), clientId: 'me', extraData: {} };
    expect(await client.http.postPrompt(posted, SOON)).toMatchObject({
      kind: 'rejected',
      nodeErrors: [{ nodeId: '4', errors: [{ type: 'value_not_in_list', inputName: 'ckpt_name' }] }],
    });
  });

  it('tells what the instance has', async () => {
    const { client } = await start();
    const info = await client.http.getObjectInfo(SOON);
    if (!info.ok) throw new Error(info.message);
    expect(info.value.inventory.nodeTypes).toContain('KSampler');
    expect(info.value.inventory.models).toContainEqual({
      kind: 'checkpoints',
      name: 'v1-5-pruned-emaonly.safetensors',
    });
    expect(info.value.inventory.models).toContainEqual({
      kind: 'upscale_models',
      name: '4x_NMKD-Siax_200k.pth',
    });
    expect(info.value.uploadInputs).toContainEqual({ nodeType: 'LoadImage', input: 'image' });
    expect(await client.http.getSystemStats(SOON)).toMatchObject({
      ok: true,
      value: { comfyuiVersion: '0.3.64' },
    });
  });
});

describe('cancelling', () => {
  it('ends the running prompt, removes a pending one and finds an ended one finished', async () => {
    const { client, post, ended } = await start({ stepMs: 20 });
    const done = await post(sampling(1, 1));
    await ended(done);
    const running = await post(sampling(2, 5000));
    const pending = await post(sampling(3));
    await eventually(async () => {
      const queue = await client.http.getQueue(SOON);
      return (
        queue.ok &&
        placeInQueue(queue.value, running) === 'running' &&
        placeInQueue(queue.value, pending) === 'pending'
      );
    });
    expect(await client.cancel({ promptId: pending, withinMs: 10_000 })).toBe('removed');
    expect(await client.cancel({ promptId: running, withinMs: 10_000 })).toBe('interrupted');
    expect(await client.cancel({ promptId: done, withinMs: 10_000 })).toBe('finished');
    expect(await client.http.getPromptCount(SOON)).toEqual({ ok: true, value: 0 });
  });

  it('right behind the post never leaves the prompt running', async () => {
    const { client, post } = await start({ stepMs: 20 });
    for (let salt = 0; salt < 20; salt++) {
      const promptId = await post(sampling(salt, 5000));
      expect(['removed', 'interrupted']).toContain(await client.cancel({ promptId, withinMs: 10_000 }));
    }
    expect(await client.http.getPromptCount(SOON)).toEqual({ ok: true, value: 0 });
  });

  it('calls a prompt stuck that ignores it, and the instance unreachable when it is gone', async () => {
    const { client, simulator, post } = await start({ stepMs: 20, faults: { ignoreInterrupts: true } });
    const promptId = await post(sampling(1, 5000));
    expect(await client.cancel({ promptId, withinMs: 200 })).toBe('stuck');
    await simulator.control.crash();
    expect(await client.cancel({ promptId, withinMs: 200 })).toBe('unreachable');
  });
});

describe('when things break', () => {
  it('calls a post ambiguous whose instance dies with the prompt in its queue', async () => {
    const { client, simulator } = await start();
    simulator.control.setFaults({ crashOnPrompt: true });
    const posted = { prompt: sampling(1), promptId: randomUUID(), clientId: 'me', extraData: {} };
    expect(await client.http.postPrompt(posted, SOON)).toMatchObject({ kind: 'ambiguous' });
    expect(await client.http.postPrompt({ ...posted, promptId: randomUUID() }, SOON)).toMatchObject({
      kind: 'refused',
    });
  });

  it('comes back to a restarted instance, whose history is empty', async () => {
    const { client, simulator, messages, closes, post, ended } = await start();
    const promptId = await post(sampling(1));
    await ended(promptId);
    const before = messages.length;
    await simulator.control.restart();
    await eventually(() => messages.slice(before).some((message) => message.kind === 'featureFlags'));
    expect(closes[0]).toMatchObject({ reason: 'lost', code: 1006 });
    expect(await client.http.getHistoryEntry(promptId, SOON)).toEqual({ ok: true, value: null });
    await ended(await post(sampling(2)));
  });

  it('keeps hearing its prompt under the same client id over a replaced connection', async () => {
    const { client, messages, post, ended } = await start({ stepMs: 10 });
    const promptId = await post(sampling(1, 60));
    await eventually(() => messages.some((message) => message.kind === 'progress'));
    const before = messages.length;
    client.socket.replace();
    await ended(promptId);
    expect(messages.slice(before)).toContainEqual(
      expect.objectContaining({ kind: 'executing', promptId: null, node: '3' }),
    );
  });

  it('hears no status on a deaf connection, while the record of the run is there', async () => {
    const { client, simulator, post } = await start();
    simulator.control.setFaults({ deafSockets: true });
    const heard = client.socket.lastStatusAt;
    const promptId = await post(sampling(1));
    await eventually(async () => {
      const history = await client.http.getHistoryEntry(promptId, SOON);
      return history.ok && history.value !== null;
    });
    expect(client.socket.lastStatusAt).toBe(heard);
  });

  it('ends a file cut short with an error, never as a shorter file', async () => {
    const { client, simulator, post, ended } = await start();
    const promptId = await post(sampling(1));
    await ended(promptId);
    const history = await client.http.getHistoryEntry(promptId, SOON);
    const [item] = history.ok && history.value ? collectOutputItems(history.value.outputs).items : [];
    if (item?.kind !== 'file') throw new Error('no file');
    simulator.control.setFaults({ cutBodies: 20 });
    const file = await client.http.view(item.file, SOON);
    if (!file.ok) throw new Error(file.message);
    await expect(buffer(file.body)).rejects.toThrow();
  });

  it('gives up on a frozen instance at the deadline', async () => {
    const { client, simulator } = await start();
    simulator.control.setFaults({ frozen: true });
    expect(await client.http.getQueue({ deadlineMs: 100 })).toMatchObject({ ok: false, reason: 'timeout' });
    simulator.control.setFaults({ frozen: false });
    expect(await client.http.getQueue(SOON)).toMatchObject({ ok: true });
  });
});
