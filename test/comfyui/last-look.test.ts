import { describe, expect, it, onTestFinished } from 'vitest';
import { HttpTransport } from '../../src/comfyui/http-transport.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { sendJson, startServer } from './http-server.ts';

/** Says yes so many times, and no from then on. */
async function transport(yes: number) {
  const server = await startServer((_request, response) => sendJson(response, 200, {}));
  onTestFinished(() => server.stop());
  let asked = 0;
  const mayAct = (): boolean => asked++ < yes;
  const one = new HttpTransport({ url: server.url, clock: systemClock, mayAct });
  await one.start();
  onTestFinished(() => one.stop());
  return { server, one };
}

const call = (method: 'GET' | 'POST') => ({ method, path: '/prompt', deadlineMs: 5000 });

describe('a request that may change something', () => {
  it('is not sent when that is not allowed any more once its connection is there', async () => {
    const { server, one } = await transport(1);
    expect(await one.request({ ...call('POST'), body: '{}' }, 100)).toMatchObject({
      ok: false,
      reason: 'aborted',
    });
    expect(server.seen).toEqual([]);
    expect(await one.request(call('GET'), 100)).toMatchObject({ ok: true, status: 200 });
  });

  it('is asked about at once, and again at the last moment', async () => {
    const { server, one } = await transport(2);
    expect(await one.request({ ...call('POST'), body: '{}' }, 100)).toMatchObject({ ok: true, status: 200 });
    expect(await one.request({ ...call('POST'), body: '{}' }, 100)).toMatchObject({ reason: 'aborted' });
    expect(server.seen.map(({ method, body }) => [method, body.toString()])).toEqual([['POST', '{}']]);
  });
});
