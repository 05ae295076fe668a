import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Address, type FetchOptions, fetchImage, urlProblem } from '../../src/jobs/fetch-image.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

let server: Server;
let base: string;
let port: number;
let requests: IncomingMessage[];
let connections: number;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let clock: VirtualClock;

beforeEach(async () => {
  requests = [];
  connections = 0;
  clock = new VirtualClock();
  answer = (_request, response) => response.end('picture');
  server = createServer((request, response) => {
    requests.push(request);
    answer(request, response);
  });
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
  base = `http://127.0.0.1:${port}`;
});
afterEach(async () => {
  expect(clock.pending).toBe(0);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const local = (address: string): boolean => address === '127.0.0.1';
const resolvingTo =
  (...addresses: string[]) =>
  async (): Promise<Address[]> =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

/** The bytes as text, or the sentence a client would read. */
async function fetched(url: string, options: Partial<FetchOptions> = {}): Promise<string> {
  try {
    const image = await fetchImage(url, { clock, allowPrivate: false, ...options });
    try {
      const chunks: Uint8Array[] = [];
      for await (const chunk of image.file.stream) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    } finally {
      image.close();
    }
  } catch (error) {
    return (error as Error).message;
  }
}

describe('fetchImage', () => {
  it('streams what the URL holds, with the last part of the path as its name', async () => {
    const image = await fetchImage(`${base}/a/gr%C3%B6%C3%9Fe.png?x=1`, { clock, allowPrivate: true });
    expect(image.file.filename).toBe('größe.png');
    image.close();
    expect(await fetched(`${base}/cat.png`, { allowPrivate: true })).toBe('picture');
  });

  it('sends neither cookies nor authorisation', async () => {
    await fetched(`${base}/cat.png`, { allowPrivate: true });
    const { cookie, authorization, referer } = requests[0]?.headers ?? {};
    expect([cookie, authorization, referer]).toEqual([undefined, undefined, undefined]);
  });

  it('connects to the address that was checked, resolving a name once', async () => {
    let asked = 0;
    const resolve = async (hostname: string): Promise<Address[]> => {
      asked += 1;
      expect(hostname).toBe('pictures.test');
      // The second answer of a rebinding name server would be another address.
      return [{ address: asked === 1 ? '127.0.0.1' : '127.0.0.9', family: 4 }];
    };
    expect(await fetched(`http://pictures.test:${port}/x`, { resolve, isAllowed: local })).toBe('picture');
    expect(asked).toBe(1);
    expect(requests[0]?.headers.host).toBe(`pictures.test:${port}`);
  });

  it.each([
    ...['http://127.0.0.1/', 'http://127.1/', 'http://2130706433/', 'http://0x7f000001/', 'http://0x7f.1/'],
    ...['http://0177.0.0.1/', 'http://017700000001/', 'http://127.0.0.1./', 'http://①②⑦.0.0.1/', 'http://0/'],
    ...[
      'http://[::1]/',
      'http://[::ffff:7f00:1]/',
      'http://[::ffff:127.0.0.1]/',
      'http://[::7f00:1]/',
      'http://[::]/',
    ],
    ...[
      'http://[64:ff9b::7f00:1]/',
      'http://[fe80::1]/',
      'http://[fd00::1]/',
      'http://169.254.169.254/latest/',
    ],
    ...[
      'http://10.0.0.1/',
      'http://100.64.0.1/',
      'http://192.168.1.1/',
      'http://172.16.0.1/',
      'http://224.0.0.1/',
    ],
  ])('never connects to %s', async (form) => {
    const url = new URL(form);
    url.port = `${port}`;
    expect(await fetched(url.href)).toBe('could not be fetched: the address is not a public one');
    expect(connections).toBe(0);
  });

  it.each([
    ['localhost', ['127.0.0.1']],
    ['localhost.', ['::1']],
    ['pictures.test', ['93.184.216.34', '127.0.0.1']],
    ['pictures.test', ['::ffff:127.0.0.1']],
    ['nothing.test', []],
  ])('never connects to %s when it stands for %j', async (host, addresses) => {
    expect(await fetched(`http://${host}:${port}/`, { resolve: resolvingTo(...addresses) })).toContain(
      'not a public one',
    );
    expect(connections).toBe(0);
  });

  it.each([
    ['http://user@pictures.test/', /user name or password/],
    ['http://user:secret@127.0.0.1/', /user name or password/],
    ['ftp://pictures.test/x', /http or https/],
    ['file:///etc/passwd', /http or https/],
    ['data:image/png;base64,AAAA', /http or https/],
    ['/cat.png', /absolute/],
    ['http://', /absolute/],
  ])('refuses %s', (url, message) => {
    expect(urlProblem(url)).toMatch(message);
  });

  it('follows three redirects, relative ones too, and no fourth', async () => {
    answer = (request, response) => {
      const left = Number(request.url?.slice(1));
      if (left === 0) response.end('arrived');
      else response.writeHead(302, { location: `/${left - 1}` }).end();
    };
    expect(await fetched(`${base}/3`, { isAllowed: local })).toBe('arrived');
    expect(await fetched(`${base}/4`, { isAllowed: local })).toContain('more than 3 redirects');
  });

  it.each([
    'http://169.254.169.254/latest/meta-data/',
    'http://127.0.0.2:1/',
    'http://[::ffff:7f00:1]/',
    'http://user:secret@127.0.0.1/',
    'file:///etc/passwd',
    '//0x7f.2/',
  ])('checks a redirect anew and does not go to %s', async (location) => {
    answer = (_request, response) => response.writeHead(302, { location }).end();
    expect(await fetched(`${base}/`, { isAllowed: local })).toMatch(/not a public one|must/);
    expect(requests).toHaveLength(1);
  });

  it('tells the status of a refusal, and of a failed connection or name nothing at all', async () => {
    answer = (_request, response) => response.writeHead(404).end('secret page');
    expect(await fetched(`${base}/`, { allowPrivate: true })).toBe(
      'could not be fetched: the server answered 404',
    );
    answer = (request) => request.socket.destroy();
    expect(await fetched(`${base}/`, { allowPrivate: true })).toBe('could not be fetched');
    const resolve = async (): Promise<Address[]> => Promise.reject(new Error('ENOTFOUND internal.name'));
    expect(await fetched('http://internal.name/', { resolve })).toBe('could not be fetched');
  });

  it('gives up after its time when nothing comes, and when bytes only trickle', async () => {
    const arrived = new Promise<void>((resolve) => {
      answer = () => resolve();
    });
    const silent = fetched(`${base}/`, { allowPrivate: true });
    await arrived;
    await clock.advance(10_000);
    expect(await silent).toBe('could not be fetched in time');

    answer = (_request, response) => response.write('first bytes');
    const image = await fetchImage(`${base}/`, { clock, allowPrivate: true });
    const iterator = image.file.stream[Symbol.asyncIterator]();
    expect((await iterator.next()).done).toBe(false);
    const second = expect(iterator.next()).rejects.toThrow('could not be fetched in time');
    await clock.advance(10_000);
    await second;
    image.close();
  });

  it('gives up on a name that never resolves', async () => {
    const resolve = (): Promise<Address[]> => new Promise(() => undefined);
    const waiting = fetched('http://slow.test/', { resolve });
    await clock.advance(10_000);
    expect(await waiting).toBe('could not be fetched in time');
  });

  it('reports a body that breaks off', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('half', () => response.destroy());
    };
    expect(await fetched(`${base}/`, { allowPrivate: true })).toBe('could not be fetched');
  });
});
