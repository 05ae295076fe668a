/**
 * A way to Postgres on which, when asked to, the answer to the next COMMIT is stolen: the transaction stands, and whoever
 * made it is cut off without knowing.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class CommitThief implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #armed = false;
  #stolen = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** The same database, by the other way. */
  static async before(url: string): Promise<{ readonly thief: CommitThief; readonly url: string }> {
    const address = new URL(url);
    const target = { host: address.hostname, port: Number(address.port || 5432) };
    const server = createServer();
    const thief = new CommitThief(server);
    server.on('connection', (client) => thief.#relay(client, connect(target)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    address.hostname = '127.0.0.1';
    address.port = String((server.address() as AddressInfo).port);
    return { thief, url: address.href };
  }

  /** The next COMMIT gets no answer. */
  arm(): void {
    this.#armed = true;
  }

  get stolen(): number {
    return this.#stolen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #relay(client: Socket, server: Socket): void {
    let marked = false;
    const cut = (): void => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', cut);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        cut();
      });
    }
    client.on('data', (bytes) => {
      if (this.#armed && bytes.includes('commit\0')) {
        this.#armed = false;
        marked = true;
      }
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (!marked) {
        client.write(bytes);
        return;
      }
      // what the server answers says that it has committed
      this.#stolen++;
      cut();
    });
  }
}
