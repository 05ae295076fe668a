/**
 * A TCP proxy on 127.0.0.1 that behaves as badly as a network can: toxiproxy's vocabulary, both directions, scriptable
 * while connections are open. Put it between the gateway and an instance, or between a client and the gateway.
 *
 *     await using proxy = await TcpChaos.to(instance.port);
 *     const slow = proxy.add('downstream', { type: 'bandwidth', bytesPerSecond: 1000 });
 *     slow.remove();
 *     await proxy.down(); // refused from here on, open connections are cut
 *     await proxy.up();   // the same address again
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { ChaosPipe } from './tcp-chaos-pipe.ts';
import type { Direction, Toxic, Toxins } from './tcp-chaos-toxics.ts';

export interface AddedToxic {
  remove(): void;
}

interface Connection {
  end(how: 'close' | 'reset'): void;
  readonly done: Promise<unknown>;
}

export class TcpChaos implements AsyncDisposable {
  readonly #upstreamPort: number;
  readonly #random: () => number;
  readonly #toxics: { readonly direction: Direction; readonly toxic: Toxic }[] = [];
  readonly #connections = new Set<Connection>();
  #changed = new AbortController();
  #server: Server | null = null;
  #port = 0;
  #accepted = 0;

  private constructor(upstreamPort: number, random: () => number) {
    this.#upstreamPort = upstreamPort;
    this.#random = random;
  }

  /** Listens on a free port; `random` gives jitter and slice sizes (default: none). */
  static async to(upstreamPort: number, random: () => number = () => 0.5): Promise<TcpChaos> {
    const proxy = new TcpChaos(upstreamPort, random);
    await proxy.up();
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Connections open now. */
  get open(): number {
    return this.#connections.size;
  }

  /** Connections taken so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Holds from the next chunk on, for open connections too. */
  add(direction: Direction, toxic: Toxic): AddedToxic {
    const entry = { direction, toxic: { ...toxic } };
    this.#toxics.push(entry);
    this.#tellChange();
    return {
      remove: () => {
        const index = this.#toxics.indexOf(entry);
        if (index < 0) return;
        this.#toxics.splice(index, 1);
        this.#tellChange();
      },
    };
  }

  /** Takes all toxics away. */
  clear(): void {
    this.#toxics.length = 0;
    this.#tellChange();
  }

  /** Cuts every open connection: with a reset, or in order. */
  cut(how: 'close' | 'reset' = 'reset'): void {
    for (const connection of [...this.#connections]) connection.end(how);
  }

  /** Refuses connections and cuts the open ones. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    const closed = server && new Promise((resolve) => server.close(resolve));
    const connections = [...this.#connections];
    this.cut();
    await Promise.all([closed, ...connections.map((connection) => connection.done)]);
  }

  /** Listens, on the port it had before. */
  async up(): Promise<void> {
    if (this.#server) return;
    const server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Leaves no socket and no timer. */
  async close(): Promise<void> {
    this.clear();
    await this.down();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(client: Socket): void {
    this.#accepted++;
    const over = new AbortController();
    const server = connect({ port: this.#upstreamPort, host: '127.0.0.1', allowHalfOpen: true });
    const end = (how: 'close' | 'reset'): void => {
      over.abort();
      for (const socket of [client, server]) how === 'reset' ? reset(socket) : hangUp(socket);
    };
    const both = { toxins: this.#toxins(), random: this.#random, over: over.signal, end };
    const pipes = [
      new ChaosPipe({ ...both, from: client, to: server, direction: 'upstream' }),
      new ChaosPipe({ ...both, from: server, to: client, direction: 'downstream' }),
    ];
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      // a peer that breaks off breaks the other side off too
      socket.on('error', () => end('reset'));
    }
    const closed = Promise.all([closedOf(client), closedOf(server)]).then(() => over.abort());
    const done = Promise.all([closed, ...pipes.map((pipe) => pipe.run())]);
    const connection: Connection = { end, done };
    this.#connections.add(connection);
    void done.finally(() => this.#connections.delete(connection));
  }

  #toxins(): Toxins {
    return {
      of: (direction) =>
        this.#toxics.filter((entry) => entry.direction === direction).map((entry) => entry.toxic),
      changed: () => this.#changed.signal,
    };
  }

  #tellChange(): void {
    this.#changed.abort();
    this.#changed = new AbortController();
  }
}

function closedOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** One that is just being closed in order cannot be reset any more, and would never say that it is closed. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** In order: what was written still arrives, then the end; what comes after that is not read. */
function hangUp(socket: Socket): void {
  if (socket.connecting) socket.destroy();
  else socket.end(() => socket.destroy());
}
