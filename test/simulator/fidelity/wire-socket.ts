/** A WebSocket client that writes down everything it sees, in order. */
import { WebSocket } from 'ws';
import { describeFrame } from './frames.ts';
import type { SocketItem } from './observation.ts';
import { parseLoose } from './recording.ts';

export interface WireSocketOptions {
  readonly origin?: string;
  readonly offerCompression: boolean;
  /** Bytes; a longer message closes the connection with 1009. */
  readonly maxPayload?: number;
}

export class WireSocket {
  readonly items: SocketItem[] = [];
  readonly #socket: WebSocket;
  #closing = false;

  constructor(url: string, options: WireSocketOptions) {
    this.#socket = new WebSocket(url, {
      perMessageDeflate: options.offerCompression,
      maxPayload: options.maxPayload ?? 256 * 1024 * 1024,
      ...(options.origin === undefined ? {} : { origin: options.origin }),
    });
    this.#socket.on('message', (data: Buffer, binary: boolean) => {
      if (binary) this.items.push({ type: 'binary', frame: describeFrame(data) });
      else this.items.push(textItem(data.toString('utf8')));
    });
    // Errors are followed by `close`, which is what a client acts on; a protocol error's code is the client's own.
    let ownCode: number | undefined;
    this.#socket.on('error', (error: Error & { code?: string }) => {
      if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') ownCode = 1009;
    });
    this.#socket.on('close', (code) => {
      if (!this.#closing) this.items.push({ type: 'closed', code: ownCode ?? code });
    });
  }

  /** Resolves when the server has answered the handshake, whichever way. */
  opened(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.once('upgrade', (response) => {
        const extensions = response.headers['sec-websocket-extensions'] !== undefined;
        this.items.unshift({ type: 'opened', status: response.statusCode ?? 0, extensions });
      });
      this.#socket.once('open', resolve);
      this.#socket.once('unexpected-response', (request, response) => {
        this.#refuse(response.statusCode ?? null);
        request.destroy();
        resolve();
      });
      this.#socket.once('error', () => {
        if (this.items.length === 0) this.#refuse(null);
        resolve();
      });
    });
  }

  get open(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  /** Stops reading, so that what the server sends stays in its buffers. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends the connection from this side; what the server says from now on is not written down. */
  close(abort: boolean): Promise<void> {
    this.#closing = true;
    if (this.#socket.readyState === WebSocket.CLOSED) return Promise.resolve();
    return new Promise((resolve) => {
      this.#socket.once('close', () => resolve());
      if (abort) this.#socket.terminate();
      else this.#socket.close();
    });
  }

  #refuse(status: number | null): void {
    this.#closing = true;
    this.items.push({ type: 'refused', status });
  }
}

function textItem(text: string): SocketItem {
  return text.length > 100_000
    ? { type: 'text', head: text.slice(0, 2000) }
    : { type: 'text', data: parseLoose(text) };
}
