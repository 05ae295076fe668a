/**
 * A stretch of bad network on 127.0.0.1: of all connections through it most are left alone, a few are slow in both
 * directions, a few are reset, at once or in the middle. Which ones comes from the seed.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { TcpChaos } from '../../test/support/tcp-chaos.ts';
import type { Toxic } from '../../test/support/tcp-chaos-toxics.ts';

const FATES: readonly Toxic[] = [
  { type: 'latency', latencyMs: 400, jitterMs: 200 },
  { type: 'reset_peer', afterMs: 0 },
  { type: 'reset_peer', afterMs: 15 },
  { type: 'reset_peer', afterMs: 150 },
];

export class BadLuck implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #share: number;
  readonly #random: () => number;
  #bad: readonly TcpChaos[] = [];
  #port = 0;
  #taken = 0;
  #unlucky = 0;

  private constructor(share: number, random: () => number) {
    this.#share = share;
    this.#random = random;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  /** Listens on a free port; `share` of the connections have bad luck. */
  static async listen(share: number, random: () => number): Promise<BadLuck> {
    const luck = new BadLuck(share, random);
    luck.#server.listen(0, '127.0.0.1');
    await once(luck.#server, 'listening');
    return luck;
  }

  /** Where it leads: nobody is served before. */
  async leadTo(port: number): Promise<void> {
    this.#port = port;
    this.#bad = await Promise.all(
      FATES.map(async (toxic) => {
        const proxy = await TcpChaos.to(port, this.#random);
        for (const direction of ['upstream', 'downstream'] as const) proxy.add(direction, toxic);
        return proxy;
      }),
    );
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Connections so far, and those of them that were delayed or reset. */
  get counts(): { readonly taken: number; readonly unlucky: number } {
    return { taken: this.#taken, unlucky: this.#unlucky };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    await Promise.all(this.#bad.map((proxy) => proxy.close()));
  }

  #accept(client: Socket): void {
    this.#taken += 1;
    const unlucky = this.#random() < this.#share;
    if (unlucky) this.#unlucky += 1;
    const fate = unlucky ? this.#bad[Math.floor(this.#random() * this.#bad.length)] : undefined;
    const server = connect({ port: fate?.port ?? this.#port, host: '127.0.0.1', allowHalfOpen: true });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one);
      one.setNoDelay(true);
      one.pipe(other);
      one.once('error', () => other.resetAndDestroy());
      one.once('close', () => {
        this.#sockets.delete(one);
        if (!other.writableEnded) other.destroy();
      });
    }
  }
}
