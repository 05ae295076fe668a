/**
 * A way to Postgres on which, when asked to, the answer to a COMMIT is stolen: the transaction stands, and whoever made it is
 * cut off without knowing.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class CommitThief implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #wanted: (statements: string) => boolean = () => false;
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

  /** The next COMMIT of a transaction that says `text` gets no answer. */
  arm(text = ''): void {
    this.#wanted = (statements) => {
      if (!statements.includes(text)) return false;
      this.disarm();
      return true;
    };
  }

  /** Each COMMIT of which `chance` says so gets no answer. */
  armFor(chance: () => boolean): void {
    this.#wanted = chance;
  }

  disarm(): void {
    this.#wanted = () => false;
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
    /** Said since the last COMMIT. */
    let statements = '';
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
      statements += bytes.toString('latin1');
      if (bytes.includes('commit\0')) {
        marked ||= this.#wanted(statements);
        statements = '';
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
