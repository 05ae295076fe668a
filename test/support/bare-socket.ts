/** A WebSocket that speaks graphql-transport-ws by hand: what a client library would hide stays visible. */
import { type ClientOptions, WebSocket } from 'ws';

export interface SocketMessage {
  readonly type: string;
  readonly id?: string;
  readonly payload?: unknown;
}

export class BareSocket {
  readonly socket: WebSocket;
  readonly messages: SocketMessage[] = [];
  readonly closed: Promise<number>;
  #waiting: (() => void)[] = [];

  constructor(url: string, options: ClientOptions = {}) {
    this.socket = new WebSocket(url, 'graphql-transport-ws', options);
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => this.socket.on('close', resolve));
    this.socket.on('message', (data) => {
      this.messages.push(JSON.parse(String(data)) as SocketMessage);
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
  }

  async open(): Promise<this> {
    await new Promise((resolve, reject) => {
      this.socket.once('open', resolve);
      this.socket.once('error', reject);
    });
    this.send({ type: 'connection_init' });
    await this.until(({ type }) => type === 'connection_ack');
    return this;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Resolves when what has arrived is enough. */
  async untilAll(enough: (messages: readonly SocketMessage[]) => boolean): Promise<void> {
    await this.#awaited(() => (enough(this.messages) ? true : undefined));
  }

  until(accepts: (message: SocketMessage) => boolean): Promise<SocketMessage> {
    return this.#awaited(() => this.messages.find(accepts));
  }

  async #awaited<T>(find: () => T | undefined): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }
}

export const subscribe = (id: string, query: string, variables: object = {}): object => ({
  type: 'subscribe',
  id,
  payload: { query, variables },
});
