/**
 * The socket table: one entry per client id, and one queue of messages written one after another. Both have ComfyUI's
 * traps: the close of an older socket removes the entry of a newer one with the same id, and a reader that stops
 * reading holds up the messages of everybody (both observed on ComfyUI 0.3.64).
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { isObject, type JsonObject, parseJson, toJsonText } from './python-json.ts';

interface Entry {
  readonly socket: WebSocket;
  readonly wire: Duplex;
  flags: JsonObject;
}
type Payload = string | Buffer;
interface Message {
  readonly payload: Payload;
  readonly to: string | null;
}

/** Unsent bytes of one socket above which the message loop waits for it. */
const HIGH_WATER = 64 * 1024;

export class Sockets {
  private readonly entries = new Map<string, Entry>();
  private readonly open = new Set<WebSocket>();
  private readonly waiting: Message[] = [];
  private readonly gathering = new Set<Duplex>();
  private stalled = false;
  private readonly isDeaf: () => boolean;

  constructor(isDeaf: () => boolean) {
    this.isDeaf = isDeaf;
  }

  /** Takes over a socket whose upgrade is done. `greet` runs once it is in the table. */
  add(id: string, socket: WebSocket, wire: Duplex, serverFlags: JsonObject, greet: () => void): void {
    this.entries.delete(id);
    this.entries.set(id, { socket, wire, flags: {} });
    this.open.add(socket);
    let first = true;
    socket.on('message', (data, isBinary) => {
      const message = isBinary || !Buffer.isBuffer(data) ? undefined : parseJson(data.toString('utf8'));
      if (!isObject(message)) return;
      if (first && message.type === 'feature_flags') {
        const flags = message.data ?? {};
        const entry = this.entries.get(id);
        if (entry && isObject(flags)) entry.flags = flags;
        this.send('feature_flags', serverFlags, id);
      }
      first = false;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.open.delete(socket);
      // Whatever socket is in the table under this id by now: this is the trap.
      this.entries.delete(id);
    });
    greet();
  }

  /** Whether the client said exactly `true` for this feature on its present connection. */
  supports(id: string | null, feature: string): boolean {
    return id !== null && this.entries.get(id)?.flags[feature] === true;
  }

  /** `to` null is everybody. */
  send(type: string, data: unknown, to: string | null): void {
    if (this.entries.size === 0 || (to !== null && !this.entries.has(to))) return;
    this.publish({ payload: toJsonText({ type, data }), to });
  }

  sendBinary(event: number, parts: readonly Buffer[], to: string | null): void {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(event, 0);
    this.publish({ payload: Buffer.concat([head, ...parts]), to });
  }

  private publish(message: Message): void {
    if (this.stalled || this.waiting.length > 0) this.waiting.push(message);
    else this.write(message);
  }

  private write({ payload, to }: Message): void {
    if (this.isDeaf()) return;
    const single = to === null ? undefined : this.entries.get(to);
    const targets = to === null ? [...this.entries.values()] : single ? [single] : [];
    for (const { socket, wire } of targets) {
      if (socket.readyState !== socket.OPEN) continue;
      this.gather(wire);
      socket.send(payload, { binary: typeof payload !== 'string' }, () => this.drained(socket));
      if (socket.bufferedAmount > HIGH_WATER) this.stalled = true;
    }
  }

  /** The messages of one turn of the event loop leave in one system call: most of the cost of a small job is there. */
  private gather(wire: Duplex): void {
    if (this.gathering.size === 0) {
      setImmediate(() => this.letGo());
    }
    if (this.gathering.has(wire)) return;
    this.gathering.add(wire);
    wire.cork();
  }

  private letGo(): void {
    for (const gathered of this.gathering) gathered.uncork();
    this.gathering.clear();
  }

  private drained(socket: WebSocket): void {
    if (!this.stalled || (socket.bufferedAmount > HIGH_WATER && socket.readyState === socket.OPEN)) return;
    this.stalled = [...this.open].some((other) => other.bufferedAmount > HIGH_WATER);
    while (!this.stalled) {
      const message = this.waiting.shift();
      if (!message) return;
      this.write(message);
    }
  }

  count(): number {
    return this.open.size;
  }

  /** Ends every connection without a close frame, as a dying process does. */
  cutAll(): void {
    // What was said before the death is still heard.
    this.letGo();
    for (const socket of this.open) socket.terminate();
  }
}
