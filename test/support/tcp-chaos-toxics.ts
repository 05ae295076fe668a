/**
 * What a bad network does to one direction of a connection, in toxiproxy's words. Scriptable at run time: a direction
 * asks which toxics hold at every chunk, and waits inside one end early when the list changes.
 */

export type Toxic =
  /** Every chunk arrives this much later, and no faster than the one before it. */
  | { readonly type: 'latency'; readonly latencyMs: number; readonly jitterMs?: number }
  /** 0 lets nothing through until it changes: a frozen peer. */
  | { readonly type: 'bandwidth'; readonly bytesPerSecond: number }
  /** The end of the stream arrives this much later. */
  | { readonly type: 'slow_close'; readonly delayMs: number }
  /** Bytes vanish; the connection is closed after `timeoutMs`, with 0 when the toxic is taken away (a black hole). */
  | { readonly type: 'timeout'; readonly timeoutMs: number }
  /** The connection is reset (RST) so long after its first chunk. */
  | { readonly type: 'reset_peer'; readonly afterMs: number }
  /** Chunks are cut into small ones. */
  | {
      readonly type: 'slicer';
      readonly averageSize: number;
      readonly sizeVariation?: number;
      readonly delayMs?: number;
    }
  /** The connection is closed after so many bytes, counted per connection from when the toxic was added. */
  | { readonly type: 'limit_data'; readonly bytes: number };

/** `upstream`: from the client to the server; `downstream`: what the server answers. */
export type Direction = 'upstream' | 'downstream';

export interface Toxins {
  /** Those that hold now for one direction, in the order they were added. */
  of(direction: Direction): readonly Toxic[];
  /** Aborted when they change; a new one each time. */
  changed(): AbortSignal;
}

/** Sizes of the pieces a chunk is cut into. */
export function slices(
  length: number,
  toxic: Extract<Toxic, { type: 'slicer' }>,
  random: () => number,
): number[] {
  const variation = Math.min(toxic.sizeVariation ?? 0, toxic.averageSize - 1);
  const sizes: number[] = [];
  for (let left = length; left > 0; ) {
    const wanted = Math.round(toxic.averageSize + (random() * 2 - 1) * variation);
    const size = Math.min(left, Math.max(1, wanted));
    sizes.push(size);
    left -= size;
  }
  return sizes;
}
