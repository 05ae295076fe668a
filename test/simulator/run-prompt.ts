/** A simulator with one listening socket, and the few steps every test takes with it. */
import { WebSocket } from 'ws';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/simulator.ts';
import { eventually } from '../support/eventually.ts';

export interface Message {
  readonly type: string;
  readonly data: Record<string, unknown>;
}

export interface Rig {
  readonly simulator: Simulator;
  readonly messages: Message[];
  readonly frames: Buffer[];
  readonly socket: WebSocket;
  post(path: string, body: unknown): Promise<Response>;
  get(path: string): Promise<Response>;
  json(path: string): Promise<Record<string, unknown>>;
  /** Submits and waits for the end; gives the history entry. */
  run(prompt: unknown, extra?: Record<string, unknown>): Promise<HistoryEntry>;
  file(entry: HistoryEntry, node: string): Promise<Buffer>;
  close(): Promise<void>;
}

export interface HistoryEntry {
  readonly outputs: Record<string, Record<string, { filename: string; subfolder: string; type: string }[]>>;
  readonly status: { status_str: string; completed: boolean; messages: [string, Record<string, unknown>][] };
}

export const CLIENT = 'tester';

export async function openRig(options: SimulatorOptions = {}, flags?: unknown): Promise<Rig> {
  const simulator = await startSimulator({ seed: 'test', ...options });
  const messages: Message[] = [];
  const frames: Buffer[] = [];
  const socket = new WebSocket(`${simulator.url.replace('http', 'ws')}/ws?clientId=${CLIENT}`);
  socket.on('error', () => undefined);
  socket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) frames.push(data);
    else messages.push(JSON.parse(data.toString()) as Message);
  });
  await eventually(() => messages.length > 0);
  if (flags !== undefined) {
    socket.send(JSON.stringify({ type: 'feature_flags', data: flags }));
    await eventually(() => messages.some(({ type }) => type === 'feature_flags'));
  }
  const post = (path: string, body: unknown): Promise<Response> =>
    fetch(simulator.url + path, { method: 'POST', body: JSON.stringify(body) });
  const get = (path: string): Promise<Response> => fetch(simulator.url + path);
  const json = async (path: string) => (await (await get(path)).json()) as Record<string, unknown>;
  return {
    simulator,
    messages,
    frames,
    socket,
    post,
    get,
    json,
    async run(prompt, extra = {}) {
      const reply = (await (await post('/prompt', { prompt, client_id: CLIENT, ...extra })).json()) as {
        prompt_id: string;
      };
      const id = reply.prompt_id;
      await eventually(() =>
        messages.some(
          ({ type, data }) => type === 'executing' && data.node === null && data.prompt_id === id,
        ),
      );
      return (await json(`/history/${id}`))[id] as HistoryEntry;
    },
    async file(entry, node) {
      const saved = entry.outputs[node]?.images?.[0];
      if (!saved) throw new Error(`node ${node} saved nothing`);
      const query = new URLSearchParams({
        filename: saved.filename,
        subfolder: saved.subfolder,
        type: saved.type,
      });
      return Buffer.from(await (await get(`/view?${query}`)).arrayBuffer());
    },
    async close() {
      socket.terminate();
      await simulator.stop();
    },
  };
}

/** A small plain picture saved under the prefix. */
export function plainPrompt(color: number, prefix = 'plain'): Record<string, unknown> {
  return {
    '1': { class_type: 'EmptyImage', inputs: { width: 16, height: 16, batch_size: 1, color } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: prefix } },
  };
}

/** Text to image with the default checkpoint. */
export function paintPrompt(
  differences: { text?: string; seed?: number; steps?: number } = {},
): Record<string, unknown> {
  const clip = ['4', 1];
  return {
    '3': {
      class_type: 'KSampler',
      inputs: {
        seed: differences.seed ?? 1,
        steps: differences.steps ?? 3,
        cfg: 7,
        sampler_name: 'euler',
        scheduler: 'normal',
        denoise: 1,
        model: ['4', 0],
        positive: ['6', 0],
        negative: ['7', 0],
        latent_image: ['5', 0],
      },
    },
    '4': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'sd_xl_base_1.0.safetensors' } },
    '5': { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 48, batch_size: 1 } },
    '6': { class_type: 'CLIPTextEncode', inputs: { text: differences.text ?? 'a cat', clip } },
    '7': { class_type: 'CLIPTextEncode', inputs: { text: 'ugly', clip } },
    '8': { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['4', 2] } },
    '9': { class_type: 'SaveImage', inputs: { images: ['8', 0], filename_prefix: 'painted' } },
  };
}
