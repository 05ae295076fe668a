/** A connection to an instance that does not belong to the fleet any more, for what is left to do there. */
import { type CancelOptions, type CancelOutcome, cancelPrompt } from '../comfyui/cancel.ts';
import { ComfyHttp } from '../comfyui/http.ts';
import { HttpTransport, type OnComfyRequest } from '../comfyui/http-transport.ts';
import type { Instance } from '../domain/instance.ts';
import type { Login } from '../lib/address.ts';
import type { Clock } from '../lib/clock.ts';

export interface Visited {
  readonly id: string;
  readonly http: Pick<ComfyHttp, 'getQueue'>;
  /** Stops one prompt; see cancelPrompt. */
  cancel(options: Omit<CancelOptions, 'clock'>): Promise<CancelOutcome>;
}

export interface VisitParts {
  readonly clock: Clock;
  readonly login: Login | null;
  readonly connectTimeoutMs: number;
  readonly mayAct: () => boolean;
  readonly onRequest?: OnComfyRequest | undefined;
}

/** The connection is closed once `work` has ended. */
export async function visit<T>(
  { id, url }: Pick<Instance, 'id' | 'url'>,
  parts: VisitParts,
  work: (visited: Visited) => Promise<T>,
): Promise<T> {
  const { clock } = parts;
  const transport = new HttpTransport({ ...parts, url });
  const http = new ComfyHttp(transport);
  await transport.start();
  try {
    return await work({ id, http, cancel: (options) => cancelPrompt(http, { ...options, clock }) });
  } finally {
    await transport.stop();
  }
}
