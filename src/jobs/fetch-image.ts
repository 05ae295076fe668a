/**
 * Fetches a picture from a URL a client names, without becoming its way into our network: the host is resolved once, every
 * address is checked, and the connection goes to a checked address. Redirects are followed by hand and checked anew.
 */
import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, type Dispatcher, request } from 'undici';
import type { Clock } from '../lib/clock.ts';
import { isPublicAddress } from './public-address.ts';
import type { FileStream } from './sources.ts';

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

export interface FetchOptions {
  readonly clock: Clock;
  /** Lets private addresses through: for a fleet whose pictures lie in its own network. */
  readonly allowPrivate: boolean;
  /** For the whole fetch, in ms; default 10,000. */
  readonly timeoutMs?: number;
  /** Which addresses may be connected to; default: those of the public internet. */
  readonly isAllowed?: (address: string) => boolean;
  /** All addresses of a host name; default: the system's resolver. */
  readonly resolve?: (hostname: string) => Promise<readonly Address[]>;
}

/** Carries the only sentence a client sees; nothing of our network is in it. */
export class FetchError extends Error {
  override readonly name = 'FetchError';
}

/** A picture on its way in. `close` must be called once it has been read, or is not wanted. */
export interface FetchedImage {
  readonly file: FileStream;
  close(): void;
}

const TIMEOUT_MS = 10_000;
const MAX_REDIRECTS = 3;

/** Why a URL cannot even be tried; null when it can. */
export function urlProblem(text: string): string | null {
  if (!URL.canParse(text)) return 'must be an absolute URL';
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'must be an http or https URL';
  if (url.username !== '' || url.password !== '') return 'must not carry a user name or password';
  return null;
}

/** Opens the picture, or throws FetchError; reading its stream may throw FetchError as well. The size is the reader's to cap. */
export async function fetchImage(text: string, options: FetchOptions): Promise<FetchedImage> {
  const abort = new AbortController();
  const agents: Agent[] = [];
  const timer = options.clock.after(options.timeoutMs ?? TIMEOUT_MS, () =>
    abort.abort(new FetchError('could not be fetched in time')),
  );
  const close = (): void => {
    timer.cancel();
    abort.abort();
    for (const agent of agents) agent.destroy().catch(() => undefined);
  };
  try {
    let url = new URL(text);
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const agent = new Agent({
        connect: { lookup: lookupIn(await orAborted(addressesOf(url, options), abort.signal)) },
        pipelining: 0,
      });
      agents.push(agent);
      const response = await get(url, agent, abort.signal);
      const next = redirectOf(response, url);
      if (next === null) return { file: fileOf(url, response, abort.signal), close };
      response.body.on('error', () => undefined).destroy();
      url = next;
    }
    throw new FetchError(`could not be fetched: more than ${MAX_REDIRECTS} redirects`);
  } catch (error) {
    const failure = failureOf(error, abort.signal);
    close();
    throw failure;
  }
}

/** The addresses a URL's host stands for, all of them allowed. */
async function addressesOf(url: URL, options: FetchOptions): Promise<readonly Address[]> {
  const problem = urlProblem(url.href);
  if (problem !== null) throw new FetchError(problem);
  // The URL parser has written decimal, octal and hexadecimal forms of IPv4 out as four numbers.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const family = isIP(host);
  const resolve = options.resolve ?? systemResolve;
  const addresses =
    family === 0
      ? await resolve(host)
      : [{ address: host, family: family === 6 ? (6 as const) : (4 as const) }];
  const isAllowed = options.isAllowed ?? (options.allowPrivate ? () => true : isPublicAddress);
  if (addresses.length === 0 || !addresses.every(({ address }) => isAllowed(address)))
    throw new FetchError('could not be fetched: the address is not a public one');
  return addresses;
}

async function systemResolve(hostname: string): Promise<readonly Address[]> {
  const found = await lookup(hostname, { all: true });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
}

/** Resolving cannot be stopped, but it need not be waited for. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** A resolver for the connection that knows the checked addresses only: a name that changes meanwhile changes nothing. */
function lookupIn(addresses: readonly Address[]): LookupFunction {
  return (_hostname, options, callback) => {
    const first = addresses[0];
    if (options.all || !first) callback(null, [...addresses]);
    else callback(null, first.address, first.family);
  };
}

function get(url: URL, agent: Agent, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  return request(url, {
    dispatcher: agent,
    signal,
    headers: { accept: 'image/png, image/jpeg, image/webp', 'accept-encoding': 'identity' },
  });
}

function redirectOf(response: Dispatcher.ResponseData, url: URL): URL | null {
  const { statusCode, headers } = response;
  if (statusCode >= 200 && statusCode < 300) return null;
  const location = typeof headers.location === 'string' ? headers.location : null;
  if (![301, 302, 303, 307, 308].includes(statusCode) || location === null)
    throw new FetchError(`could not be fetched: the server answered ${statusCode}`);
  if (!URL.canParse(location, url.href)) throw new FetchError('could not be fetched: a broken redirect');
  return new URL(location, url.href);
}

function fileOf(url: URL, response: Dispatcher.ResponseData, signal: AbortSignal): FileStream {
  async function* stream(): AsyncGenerator<Uint8Array> {
    try {
      yield* response.body as AsyncIterable<Uint8Array>;
    } catch (error) {
      throw failureOf(error, signal);
    }
  }
  return { filename: lastSegment(url), stream: stream() };
}

function lastSegment(url: URL): string | null {
  const segment = url.pathname.split('/').at(-1) ?? '';
  try {
    return decodeURIComponent(segment) || null;
  } catch {
    return segment;
  }
}

/** What a client may know of a failure: resolver, socket and TLS errors tell about our network and stay here. */
function failureOf(error: unknown, signal: AbortSignal): FetchError {
  if (error instanceof FetchError) return error;
  if (signal.reason instanceof FetchError) return signal.reason;
  return new FetchError('could not be fetched');
}
