/** One HTTP exchange with everything under the replay's control (Host, Origin, raw bytes), which fetch does not allow. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { gunzipSync } from 'node:zlib';

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string | undefined;
  /** Real milliseconds until the call counts as unanswered. */
  readonly timeoutMs?: number;
}

export type Answer =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: Buffer;
    }
  | { readonly kind: 'refused' }
  | { readonly kind: 'silent' };

/** Sends one request; a connection that fails is `refused`, no answer in time is `silent`. Never throws. */
export function call(agent: Agent, base: string, options: Call): Promise<Answer> {
  const { hostname, port } = new URL(base);
  return new Promise((resolve) => {
    const sent = request(
      { agent, hostname, port, method: options.method, path: options.path, headers: headersOf(options) },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', () => resolve({ kind: 'refused' }));
        response.on('end', () => {
          const raw = Buffer.concat(chunks);
          const body = response.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
          resolve({ kind: 'answer', status: response.statusCode ?? 0, headers: response.headers, body });
        });
      },
    );
    sent.setTimeout(options.timeoutMs ?? 15_000, () => {
      resolve({ kind: 'silent' });
      sent.destroy();
    });
    sent.on('error', () => resolve({ kind: 'refused' }));
    sent.end(options.body);
  });
}

/** A keep-alive agent, so that a `connection: close` in an answer is the server's own wish. */
export function callAgent(): Agent {
  return new Agent({ keepAlive: true });
}

function headersOf(options: Call): Record<string, string> {
  const length = options.body === undefined ? 0 : Buffer.byteLength(options.body);
  const body: Record<string, string> =
    options.body === undefined && options.method !== 'POST' ? {} : { 'content-length': String(length) };
  return { ...body, ...options.headers };
}
