/** Everything that speaks to one ComfyUI instance: its HTTP calls and its socket, started and stopped together. */

import { type CancelOptions, type CancelOutcome, cancelPrompt } from '../../src/comfyui/cancel.ts';
import { ComfyHttp } from '../../src/comfyui/http.ts';
import { HttpTransport } from '../../src/comfyui/http-transport.ts';
import { ComfySocket } from '../../src/comfyui/socket.ts';
import type { ComfySocketOptions } from '../../src/comfyui/socket-options.ts';
import type { Clock } from '../../src/lib/clock.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { type Service, startAll, stopAll } from '../../src/lib/service.ts';

export interface InstanceClientOptions {
  /** Base URL, http or https. */
  readonly url: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly socket: Pick<ComfySocketOptions, 'clientId' | 'onMessage' | 'onOpen' | 'onClose' | 'tuning'>;
  /** Longest dial of an HTTP connection, in ms. */
  readonly connectTimeoutMs?: number;
}

export class InstanceClient implements Service {
  readonly http: ComfyHttp;
  readonly socket: ComfySocket;
  readonly #clock: Clock;
  readonly #parts: readonly Service[];

  constructor(options: InstanceClientOptions) {
    const { url, clock, random, logger, connectTimeoutMs } = options;
    this.#clock = clock;
    const transport = new HttpTransport({ url, clock, ...(connectTimeoutMs ? { connectTimeoutMs } : {}) });
    this.http = new ComfyHttp(transport);
    this.socket = new ComfySocket({ url, clock, random, logger, ...options.socket });
    this.#parts = [transport, this.socket];
  }

  async start(): Promise<void> {
    await startAll(this.#parts);
  }

  async stop(): Promise<void> {
    await stopAll(this.#parts);
  }

  /** Stops one prompt; see cancelPrompt. */
  async cancel(options: Omit<CancelOptions, 'clock'>): Promise<CancelOutcome> {
    return cancelPrompt(this.http, { ...options, clock: this.#clock });
  }
}
