/**
 * Gets rid of the rest of a request that nobody reads, so that the client sees the answer instead of a reset: up to so
 * many bytes and so long, then the connection is cut.
 */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../lib/clock.ts';

export interface DrainLimits {
  readonly maxBytes: number;
  readonly maxMs: number;
}

export function drain(request: IncomingMessage, limits: DrainLimits, clock: Clock): void {
  if (request.complete || request.destroyed) return;
  let bytes = 0;
  const timer = clock.after(limits.maxMs, () => request.destroy());
  request.unpipe();
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limits.maxBytes) request.destroy();
  });
  request.once('close', () => timer.cancel());
  request.once('end', () => timer.cancel());
  request.resume();
}
