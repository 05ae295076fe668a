/**
 * An instance that is an enemy: every route of ComfyUI, answered well often enough to be given jobs, and otherwise as badly
 * as one can. Everything random comes from its seed. It is fair to prompts that carry no job of ours (canaries), or it
 * would be put aside before it could do any harm.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { isObject, type Json, type JsonObject } from '../../src/lib/json.ts';
import { serveFile } from './hostile-files.ts';
import { type Spite, sendJson, spoil } from './hostile-http.ts';
import { oneOf, type Random } from './hostile-json.ts';
import { HostilePrompts } from './hostile-prompts.ts';
import { blurt, type Listener } from './hostile-socket.ts';

export interface HostileOptions {
  readonly random: Random;
  /** Share of answers that are bad, 0 to 1; a quarter of it for probes, so that it stays in the fleet. Default 0.4. */
  readonly wickedness?: number;
  /** Default 1500. */
  readonly longestHangMs?: number;
  /** Of bodies and messages; default 2 MB. */
  readonly largestBytes?: number;
  /** Default 0: a free one. */
  readonly port?: number;
}

export interface HostileInstance {
  readonly url: string;
  /** How often each kind of wickedness was done. */
  readonly done: ReadonlyMap<string, number>;
  /** Prompt ids in the order they were posted. */
  readonly posted: readonly string[];
  stop(): Promise<void>;
}

export async function startHostileInstance(options: HostileOptions): Promise<HostileInstance> {
  const instance = new Hostile(options);
  await instance.listen(options.port ?? 0);
  return instance;
}

const FAIR = ['/prompt', '/queue', '/system_stats', '/object_info'];

class Hostile implements HostileInstance {
  readonly done = new Map<string, number>();
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #connections = new Set<Socket>();
  readonly #listeners = new Map<string, Listener>();
  readonly #spite: Spite;
  readonly #wickedness: number;
  readonly #prompts: HostilePrompts;

  constructor({ random, wickedness = 0.4, longestHangMs = 1500, largestBytes = 2_000_000 }: HostileOptions) {
    this.#wickedness = wickedness;
    const note = (kind: string): void => void this.done.set(kind, (this.done.get(kind) ?? 0) + 1);
    this.#spite = { random, longestHangMs, largestBytes, note };
    this.#prompts = new HostilePrompts(this.#spite, (clientId) => this.#listeners.get(clientId));
    this.#http = createServer((request, response) => void this.#answer(request, response));
    this.#http.on('upgrade', (request, wire, head) => this.#upgrade(request, wire, head));
    this.#http.on('connection', (connection) => {
      this.#connections.add(connection);
      connection.on('error', () => connection.destroy());
      connection.on('close', () => this.#connections.delete(connection));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  get posted(): readonly string[] {
    return this.#prompts.posted;
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#http.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
  }

  async stop(): Promise<void> {
    this.#prompts.stop();
    for (const { socket } of this.#listeners.values()) socket.terminate();
    for (const connection of this.#connections) connection.destroy();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined);
    const body = await bodyOf(request);
    if (body === null) return;
    const { pathname } = new URL(request.url ?? '/', 'http://enemy');
    const { random } = this.#spite;
    const fair = this.#prompts.isFair(pathname, body);
    const isProbe = request.method === 'GET' && FAIR.includes(pathname);
    const wicked = !fair && random() < this.#wickedness * (isProbe ? 0.25 : 1);
    if (pathname === '/view') serveFile(response, this.#spite, !wicked);
    else {
      const honest = this.#route(request.method ?? 'GET', pathname, body);
      if (wicked) spoil(response, honest, this.#spite);
      else sendJson(response, 200, JSON.stringify(honest));
    }
  }

  /** What a good server would answer; the effects happen either way. */
  #route(method: string, path: string, body: Json): JsonObject {
    if (method === 'POST') {
      if (path === '/prompt') return this.#prompts.post(body);
      if (path === '/upload/image') return { name: 'upload.png', subfolder: '', type: 'input' };
      this.#prompts.command(path, body);
      return {};
    }
    if (path === '/prompt') return { exec_info: { queue_remaining: this.#prompts.count } };
    if (path === '/queue') return this.#prompts.queue();
    if (path.startsWith('/history/')) return this.#prompts.history(decodeURIComponent(path.slice(9)));
    if (path === '/system_stats') return STATS;
    if (path === '/object_info') return NODES;
    return {};
  }

  #upgrade(request: IncomingMessage, wire: Duplex, head: Buffer): void {
    const { random } = this.#spite;
    wire.on('error', () => wire.destroy());
    if (random() < this.#wickedness / 4) {
      this.#spite.note('socket: refused oddly');
      wire.end(oneOf(random, UPGRADES));
      return;
    }
    this.#sockets.handleUpgrade(request, wire, head, (socket) => {
      const clientId = new URL(request.url ?? '/', 'http://enemy').searchParams.get('clientId') ?? '';
      const listener = { socket, wire };
      this.#listeners.set(clientId, listener);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (this.#listeners.get(clientId) === listener) this.#listeners.delete(clientId);
      });
      if (random() < this.#wickedness) blurt(listener, 'nobody', [], this.#spite);
      else socket.send(JSON.stringify({ type: 'feature_flags', data: { supports_preview_metadata: true } }));
    });
  }
}

const UPGRADES = [
  'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n',
  'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n',
  'nonsense\r\n\r\n',
  '',
] as const;

const STATS: JsonObject = {
  system: { os: 'posix', comfyui_version: '0.3.64', argv: ['main.py'] },
  devices: [{ name: 'cuda:0', type: 'cuda', index: 0, vram_total: 1e10, vram_free: 1e9 }],
};
const NODES: JsonObject = Object.fromEntries(
  ['EmptyImage', 'SaveImage', 'PreviewImage', 'RigSleep', 'RigText', 'LoadImage'].map((name) => [
    name,
    { input: { required: {} }, output_node: name === 'SaveImage' },
  ]),
);

/** Parsed where it is JSON, else null's stand-in `{}`; null when the connection broke. */
async function bodyOf(request: IncomingMessage): Promise<Json | null> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return null;
  }
  try {
    const value = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Json;
    return isObject(value) ? (value as JsonObject) : {};
  } catch {
    return {};
  }
}
