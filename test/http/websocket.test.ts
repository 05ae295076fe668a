import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { globalId } from '../../src/graphql/global-id.ts';
import { BareSocket, subscribe } from '../support/bare-socket.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { socketClient, watch } from '../support/watch.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ CORS_ORIGINS: 'https://app.example' });
});
afterAll(() => gateway.stop());

const connect = (headers: Record<string, string> = {}): Promise<BareSocket> =>
  new BareSocket(gateway.socketUrl, { headers }).open();

describe('operations over WebSocket', () => {
  it('fail one by one: mistakes in some never close the socket or end the others', async () => {
    const bare = await connect();
    bare.send(subscribe('queue', 'subscription { queue { id pending } }'));
    await bare.until(({ id }) => id === 'queue');
    bare.send(subscribe('syntax', '{'));
    bare.send(subscribe('unknown', '{ nothing }'));
    bare.send(
      subscribe('deep', `{ ${Array.from({ length: 31 }, (_, n) => `a${n}: __typename`).join(' ')} }`),
    );
    bare.send(subscribe('tokens', `{ ${'__typename '.repeat(3000)} }`));
    bare.send(subscribe('variables', 'query ($n: Int!) { jobs(first: $n) { totalCount } }'));
    bare.send(subscribe('missing', 'subscription { job(id: "x") { id } }'));
    const codeOf = async (id: string): Promise<unknown> => {
      const message = await bare.until((each) => each.id === id && each.type !== 'complete');
      const errors = Array.isArray(message.payload)
        ? message.payload
        : (message.payload as { errors: unknown[] }).errors;
      return (errors[0] as { extensions: unknown }).extensions;
    };
    expect(await codeOf('syntax')).toEqual({ code: 'GRAPHQL_PARSE_FAILED' });
    expect(await codeOf('unknown')).toEqual({ code: 'GRAPHQL_VALIDATION_FAILED' });
    expect(await codeOf('deep')).toEqual({ code: 'QUERY_TOO_COMPLEX' });
    expect(await codeOf('tokens')).toEqual({ code: 'GRAPHQL_PARSE_FAILED' });
    expect(await codeOf('variables')).toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(await codeOf('missing')).toEqual({ code: 'NOT_FOUND' });
    bare.send(subscribe('fine', '{ __typename }'));
    expect((await bare.until(({ id }) => id === 'fine')).payload).toEqual({ data: { __typename: 'Query' } });
    expect(bare.messages.some(({ id, type }) => id === 'queue' && type === 'complete')).toBe(false);
    bare.socket.close();
    await bare.closed;
  });

  it('may be mutations, whose answers carry addresses as the client reached us', async () => {
    const client = socketClient(gateway.socketUrl);
    const seen = watch<{ job: { id: string } }>(
      client,
      `mutation { submitJob(input: { workflow: "generateImage", inputs: { prompt: "a" } }) {
        ... on SubmitJobSuccess { job { id } } } }`,
    );
    await seen.ended();
    expect(seen.values[0]?.job.id).toEqual(expect.any(String));
    await client.dispose();
  });

  it('mask what broke inside, mid-stream too, and leave the socket open', async () => {
    const bare = await connect();
    const job = await gateway.addJob();
    bare.send(subscribe('job', `subscription { job(id: "${globalId('Job', job.id)}") { id status } }`));
    await bare.until(({ id }) => id === 'job');
    const original = gateway.store.db.executeQuery;
    Object.assign(gateway.store.db, {
      executeQuery: () => {
        throw new Error('secret of the house');
      },
    });
    const change = { type: 'durable', event: { type: 'canceled' } } as const;
    gateway.bus.publish({ kind: 'job', jobId: job.id, tenant: job.tenant, seq: 99, at: 0, change });
    const failed = await bare.until(({ payload }) => JSON.stringify(payload ?? '').includes('INTERNAL'));
    Object.assign(gateway.store.db, { executeQuery: original });
    expect(failed.payload).toMatchObject({
      errors: [{ extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: expect.any(String) } }],
    });
    expect(JSON.stringify(failed)).not.toMatch(/secret|unexpected/);
    bare.send(subscribe('after', '{ __typename }'));
    await bare.until(({ id }) => id === 'after');
    bare.socket.close();
    await bare.closed;
  });

  it('are at most a hundred at once on one socket', async () => {
    const bare = await connect();
    for (let n = 0; n <= 100; n++) bare.send(subscribe(`q${n}`, 'subscription { queue { id } }'));
    const refused = await bare.until(({ type }) => type === 'error');
    expect(refused.payload).toMatchObject([{ extensions: { code: 'TOO_MANY_SUBSCRIPTIONS' } }]);
    bare.socket.close();
    await bare.closed;
  });

  it('that the document does not hold are told so, and take up no place on the socket', async () => {
    const bare = await connect();
    for (let n = 0; n <= 100; n++)
      bare.send(subscribe(`q${n}`, 'query A { __typename } query B { __typename }'));
    bare.send(subscribe('fine', '{ __typename }'));
    expect((await bare.until(({ id }) => id === 'fine')).payload).toEqual({ data: { __typename: 'Query' } });
    const refused = await bare.until(({ id }) => id === 'q0');
    expect(refused).toMatchObject({ type: 'error', payload: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
    bare.socket.close();
    await bare.closed;
  });

  it('cannot take the id of one that is still being answered, and end with their socket', async () => {
    await eventually(() => gateway.bus.topicCount === 0);
    const bare = await connect();
    bare.send(subscribe('x', '{ jobs(first: 1) { totalCount } }'));
    bare.send({ type: 'complete', id: 'x' });
    bare.send(subscribe('x', 'subscription { queue { id } }'));
    const refused = await bare.until(({ id }) => id === 'x');
    expect(refused).toMatchObject({ type: 'error', payload: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
    bare.send(subscribe('y', '{ jobs(first: 1) { totalCount } }'));
    await bare.until(({ id }) => id === 'y');
    bare.send(subscribe('x', 'subscription { queue { id } }'));
    await bare.until(({ id, type }) => id === 'x' && type === 'next');
    bare.socket.close();
    await bare.closed;
    await eventually(() => gateway.bus.topicCount === 0);
  });

  it('may not be larger than the limit', async () => {
    const bare = await connect();
    bare.socket.send('x'.repeat(1_100_000));
    expect(await bare.closed).toBe(1009);
    expect((await fetch(`${gateway.url}/live`)).status).toBe(200);
  });

  it('come from programs, from our own pages and from those on the list, not from other sites', async () => {
    for (const origin of [gateway.url, 'https://app.example']) {
      const bare = await connect({ origin });
      bare.socket.close();
      await bare.closed;
    }
    await expect(connect({ origin: 'https://evil.example' })).rejects.toThrow('403');
    await expect(new BareSocket(gateway.socketUrl.replace('graphql', 'else')).open()).rejects.toThrow('404');
  });
});
