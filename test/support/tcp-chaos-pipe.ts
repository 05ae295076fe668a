/** One direction of a proxied connection: reads from one socket, lets the toxics at each chunk, writes to the other. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Direction, slices, type Toxic, type Toxins } from './tcp-chaos-toxics.ts';

export interface PipeOptions {
  readonly from: Socket;
  readonly to: Socket;
  readonly direction: Direction;
  readonly toxins: Toxins;
  readonly random: () => number;
  /** Aborted when the connection is over, whoever ended it. */
  readonly over: AbortSignal;
  /** Ends both sockets, in order or with a reset. */
  readonly end: (how: 'close' | 'reset') => void;
}

interface Chunk {
  readonly bytes: Buffer;
  readonly at: number;
}

type Next = (bytes: Buffer) => Promise<void>;

/** Held for a slow direction before the sender is made to wait. */
const HELD_BYTES = 1024 * 1024;
/** A bandwidth is kept in pieces of about this long. */
const PIECE_MS = 20;

export class ChaosPipe {
  readonly #options: PipeOptions;
  readonly #held: Chunk[] = [];
  readonly #counted = new WeakMap<Toxic, number>();
  #heldBytes = 0;
  #ended = false;
  #arrived: () => void = () => undefined;
  #firstAt: number | null = null;

  constructor(options: PipeOptions) {
    this.#options = options;
  }

  /** Ends with the connection; never rejects. */
  async run(): Promise<void> {
    const { from, over, end } = this.#options;
    from.on('data', (bytes: Buffer) => this.#take(bytes));
    from.on('end', () => {
      this.#ended = true;
      this.#arrived();
    });
    over.addEventListener('abort', () => this.#arrived(), { once: true });
    try {
      while (!over.aborted) {
        const chunk = this.#held.shift();
        if (chunk) await this.#pass(chunk);
        else if (this.#ended) return await this.#close();
        else await new Promise<void>((resolve) => (this.#arrived = resolve));
      }
    } catch {
      end('close');
    }
  }

  #take(bytes: Buffer): void {
    this.#held.push({ bytes, at: performance.now() });
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > HELD_BYTES) this.#options.from.pause();
    this.#arrived();
  }

  async #pass(chunk: Chunk): Promise<void> {
    this.#firstAt ??= chunk.at;
    await this.#through(this.#toxics(), chunk.bytes, chunk.at);
    this.#heldBytes -= chunk.bytes.length;
    if (this.#heldBytes <= HELD_BYTES) this.#options.from.resume();
  }

  /** Each toxic hands what it lets through to the next one. */
  async #through([toxic, ...others]: readonly Toxic[], bytes: Buffer, at: number): Promise<void> {
    const { random, over, end } = this.#options;
    if (over.aborted) return;
    if (!toxic) return this.#write(bytes);
    const on = (piece: Buffer): Promise<void> => this.#through(others, piece, at);
    switch (toxic.type) {
      case 'latency':
        await this.#wait(
          at + toxic.latencyMs + (random() * 2 - 1) * (toxic.jitterMs ?? 0) - performance.now(),
        );
        return on(bytes);
      case 'bandwidth':
        return this.#trickle(toxic, bytes, on);
      case 'slow_close':
        return on(bytes);
      case 'timeout':
        await this.#whileIn(toxic, toxic.timeoutMs === 0 ? Number.POSITIVE_INFINITY : toxic.timeoutMs);
        return end('close');
      case 'reset_peer':
        await this.#whileIn(toxic, (this.#firstAt ?? at) + toxic.afterMs - performance.now());
        return this.#toxics().includes(toxic) ? end('reset') : on(bytes);
      case 'slicer':
        return this.#sliced(toxic, bytes, on);
      case 'limit_data':
        return this.#limited(toxic, bytes, on);
    }
  }

  /** The rest of a chunk goes out at once when the toxics change meanwhile; no byte is lost. */
  async #trickle(toxic: Extract<Toxic, { type: 'bandwidth' }>, bytes: Buffer, on: Next): Promise<void> {
    const { bytesPerSecond } = toxic;
    const size = Math.max(1, Math.floor((bytesPerSecond * PIECE_MS) / 1000));
    let rest = bytes;
    if (bytesPerSecond === 0) await this.#whileIn(toxic, Number.POSITIVE_INFINITY);
    while (bytesPerSecond > 0 && rest.length > 0 && this.#toxics().includes(toxic)) {
      const piece = rest.subarray(0, size);
      await this.#whileIn(toxic, (piece.length / bytesPerSecond) * 1000);
      rest = rest.subarray(size);
      await on(piece);
    }
    if (rest.length > 0) await on(rest);
  }

  async #sliced(toxic: Extract<Toxic, { type: 'slicer' }>, bytes: Buffer, on: Next): Promise<void> {
    let start = 0;
    for (const size of slices(bytes.length, toxic, this.#options.random)) {
      await on(bytes.subarray(start, start + size));
      start += size;
      // without a pause between them the kernel would put the pieces together again
      await this.#wait(toxic.delayMs ?? 1);
    }
  }

  async #limited(toxic: Extract<Toxic, { type: 'limit_data' }>, bytes: Buffer, on: Next): Promise<void> {
    const before = this.#counted.get(toxic) ?? 0;
    const room = Math.max(0, toxic.bytes - before);
    this.#counted.set(toxic, before + bytes.length);
    if (room > 0) await on(bytes.subarray(0, room));
    if (bytes.length >= room) this.#options.end('close');
  }

  async #close(): Promise<void> {
    const { to, over } = this.#options;
    for (const toxic of this.#toxics()) if (toxic.type === 'slow_close') await this.#wait(toxic.delayMs);
    if (!over.aborted) to.end();
  }

  async #write(bytes: Buffer): Promise<void> {
    const { to, over } = this.#options;
    if (over.aborted || bytes.length === 0 || to.destroyed) return;
    if (!to.write(bytes)) await once(to, 'drain', { signal: over }).catch(() => undefined);
  }

  /** Waits so long, or until the toxic is taken away. */
  async #whileIn(toxic: Toxic, ms: number): Promise<void> {
    const until = performance.now() + ms;
    while (this.#toxics().includes(toxic) && !this.#options.over.aborted) {
      if (await this.#wait(until - performance.now())) return;
    }
  }

  /** True when the whole time went by; false when the toxics changed or the connection ended first. */
  async #wait(ms: number): Promise<boolean> {
    if (ms <= 0) return true;
    const signal = AbortSignal.any([this.#options.over, this.#options.toxins.changed()]);
    return sleep(Math.min(ms, 2 ** 31 - 1), true, { signal }).catch(() => false);
  }

  #toxics(): readonly Toxic[] {
    return this.#options.toxins.of(this.#options.direction);
  }
}
