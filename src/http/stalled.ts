/** Cuts an answer that its client does not take: a response that waits to be sent for so long without moving on. */
import type { ServerResponse } from 'node:http';

/** Waiting for the answer to be made does not count, nor does a client that reads slowly. */
export function cutWhenStalled(response: ServerResponse, stallMs: number): void {
  const onTimeout = (): void => {
    if (response.destroyed || response.writableFinished) return;
    const waits = response.writableLength > 0 || (response.socket?.writableLength ?? 0) > 0;
    if (waits) response.destroy();
    else response.setTimeout(stallMs);
  };
  response.setTimeout(stallMs);
  // with a listener, Node leaves it to us what a timeout means
  response.on('timeout', onTimeout);
}
