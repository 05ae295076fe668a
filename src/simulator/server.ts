/** The HTTP and WebSocket port of one server life: which request goes where, and what no handler answers. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { infoRoute, serverFeatures } from './info-routes.ts';
import type { LifeSetting } from './life-setting.ts';
import { corsHeaders, isForeign } from './origin.ts';
import {
  getHistory,
  getQueue,
  postFree,
  postHistory,
  postInterrupt,
  postPrompt,
  postQueue,
} from './prompt-routes.ts';
import {
  BodyTooLarge,
  type Exchange,
  readBody,
  sendCrash,
  sendEmpty,
  sendJson,
  sendNotAllowed,
  sendNotFound,
  sendPage,
  sendText,
} from './reply.ts';
import type { ServerLife } from './server-life.ts';
import { upload } from './uploads.ts';
import { view } from './view.ts';

/** Client to server messages above this end the connection with 1009. */
const MAX_CLIENT_MESSAGE = 4 * 1024 * 1024;
/** aiohttp's idle time of kept connections, in milliseconds. */
const KEEP_ALIVE = 3_630_000;
const GET_ROUTES = ['/prompt', '/queue', '/history'];

/** Handles what is under /simulator; answers even while the simulated process is frozen. */
export type ControlHandler = (exchange: Exchange, body: Buffer) => Promise<void>;

export class SimulatedServer {
  private readonly life: ServerLife;
  private readonly setting: LifeSetting;
  private readonly control: ControlHandler;
  private readonly http: Server;
  private readonly ws = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_CLIENT_MESSAGE,
    perMessageDeflate: true,
    autoPong: false,
  });
  private readonly connections = new Set<Socket>();

  constructor(life: ServerLife, setting: LifeSetting, control: ControlHandler) {
    this.life = life;
    this.setting = setting;
    this.control = control;
    this.http = createServer({ keepAliveTimeout: KEEP_ALIVE }, (request, response) => {
      void this.answer(request, response);
    });
    this.http.on('upgrade', (request, socket, head) => {
      void this.upgrade(request, socket, head);
    });
    this.http.on('connection', (socket) => {
      this.connections.add(socket);
      socket.on('close', () => this.connections.delete(socket));
    });
  }

  /** Resolves with the port. Rejects when it cannot be had. */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.http.once('error', reject);
      this.http.listen(port, host, () => {
        this.http.off('error', reject);
        resolve((this.http.address() as AddressInfo).port);
      });
    });
  }

  /** Cuts every connection and frees the port. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.http.close(() => resolve());
      for (const socket of this.connections) socket.destroy();
      this.ws.close();
    });
  }

  private exchange(request: IncomingMessage, response: ServerResponse): Exchange {
    const url = new URL(`http://simulator${request.url ?? '/'}`);
    const path = url.pathname.startsWith('/api/') ? url.pathname.slice(4) : url.pathname;
    return { request, response, url, path, compress: this.setting.options.compressResponses };
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { corsOrigin, maxUploadBytes } = this.setting.options;
    try {
      const exchange = this.exchange(request, response);
      if (exchange.path.startsWith('/simulator/')) {
        return await this.control(exchange, await readBody(request, maxUploadBytes));
      }
      await this.setting.thawed();
      if (corsOrigin !== undefined) {
        for (const [name, value] of Object.entries(corsHeaders(corsOrigin))) response.setHeader(name, value);
      } else if (isForeign(request)) return sendEmpty(exchange, 403);
      if (request.method === 'OPTIONS') return sendEmpty(exchange);
      await this.guarded(exchange);
    } catch {
      // The client went away, or an address that cannot be parsed.
      response.destroy();
    }
  }

  private async guarded(exchange: Exchange): Promise<void> {
    const limit = this.setting.options.maxUploadBytes;
    try {
      await this.route(exchange, limit);
    } catch (error) {
      // In aiohttp an exception passes by the middleware that adds these (observed).
      for (const name of Object.keys(corsHeaders(''))) exchange.response.removeHeader(name);
      const { response } = exchange;
      if (response.headersSent) {
        response.destroy();
        return;
      }
      // What raises does not pass the CORS middleware on its way out.
      for (const name of Object.keys(corsHeaders(''))) response.removeHeader(name);
      if (error instanceof BodyTooLarge)
        sendText(exchange, 413, `Maximum request body size ${limit} exceeded.`);
      else sendCrash(exchange);
    }
  }

  private async route(exchange: Exchange, limit: number): Promise<void> {
    const { method = 'GET' } = exchange.request;
    if (method === 'GET' || method === 'HEAD') return this.get(exchange);
    const body = await readBody(exchange.request, limit);
    if (method === 'POST' && (await this.post(exchange, body))) return;
    const known = GET_ROUTES.includes(exchange.path);
    sendNotAllowed(exchange, known ? 'GET,HEAD,POST' : 'GET,HEAD');
  }

  private async get(exchange: Exchange): Promise<void> {
    const { life, setting } = this;
    const { path } = exchange;
    if (path === '/queue') getQueue(exchange, life);
    else if (path === '/history') getHistory(exchange, life);
    else if (/^\/history\/[^/]+$/.test(path))
      sendJson(exchange, life.queue.historyOf(decodeURIComponent(path.slice(9))));
    else if (path === '/view') await view(exchange, setting.files, setting.faults, setting.clock);
    else if (path === '/ws')
      sendText(exchange, 400, 'No WebSocket UPGRADE hdr: None\n Can "Upgrade" only to "WebSocket".');
    else if (path === '/') sendPage(exchange);
    else if (!(await infoRoute(exchange, life, setting))) {
      if (path.startsWith('/view_metadata/')) sendEmpty(exchange, 404);
      else sendNotFound(exchange);
    }
  }

  private async post(exchange: Exchange, body: Buffer): Promise<boolean> {
    const { life, setting } = this;
    const { path } = exchange;
    if (path === '/prompt') await postPrompt(exchange, body, life, setting);
    else if (path === '/queue') postQueue(exchange, body, life);
    else if (path === '/history') postHistory(exchange, body, life);
    else if (path === '/interrupt') postInterrupt(exchange, body, life);
    else if (path === '/free') postFree(exchange, body, life);
    else if (path === '/upload/image' || path === '/upload/mask') {
      await upload(exchange, body, setting.files, setting.faults.uploadRenames);
    } else return false;
    return true;
  }

  private async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    await this.setting.thawed();
    const { life, setting } = this;
    if (life.isDead() || socket.destroyed) return;
    const refusal = this.refusal(request);
    if (refusal !== undefined) {
      socket.end(`HTTP/1.1 ${refusal}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    this.ws.handleUpgrade(request, socket, head, (client) => {
      const url = new URL(`http://simulator${request.url ?? '/'}`);
      const id = url.searchParams.get('clientId') || life.makeId().replaceAll('-', '');
      client.on('ping', (data) => {
        void this.pong(() => client.pong(data));
      });
      life.sockets.add(id, client, socket, serverFeatures(setting), () => {
        life.sockets.send('status', { status: life.status(), sid: id }, id);
        if (life.clientId === id && life.lastNodeId !== null)
          life.sockets.send('executing', { node: life.lastNodeId }, id);
      });
    });
  }

  private refusal(request: IncomingMessage): string | undefined {
    const path = new URL(`http://simulator${request.url ?? '/'}`).pathname;
    if (path !== '/ws' && path !== '/api/ws') return '404 Not Found';
    if (this.setting.options.corsOrigin === undefined && isForeign(request)) return '403 Forbidden';
    return this.setting.faults.refuseSockets ? '503 Service Unavailable' : undefined;
  }

  private async pong(send: () => void): Promise<void> {
    await this.setting.thawed();
    send();
  }
}
