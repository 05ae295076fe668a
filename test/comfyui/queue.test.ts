import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePromptCount, parseQueue, placeInQueue } from '../../src/comfyui/queue.ts';
import { isObject, type Json } from '../../src/lib/json.ts';
import { allRecordings, recording } from './recordings.ts';

function answers(path: string): Json[] {
  return (
    allRecordings()
      .flatMap(({ http }) => http)
      .filter((call) => call.method === 'GET' && call.path === path && call.status === 200)
      .map((call) => call.response_body as Json)
      // one recording kept ids and numbers only
      .filter((body) => !(isObject(body) && 'pending_ids_and_numbers' in body))
  );
}

describe('parseQueue', () => {
  it('reads every recorded queue', () => {
    const queues = answers('/queue').map(parseQueue);
    expect(queues.length).toBeGreaterThan(20);
    expect(queues).not.toContain(null);
  });

  it('puts pending prompts into the order in which they will run, whatever the order on the wire', () => {
    const pending = answers('/queue').flatMap((body) => parseQueue(body)?.pending.length ?? 0);
    expect(Math.max(...pending)).toBeGreaterThan(1);
    for (const body of answers('/queue')) {
      const numbers = parseQueue(body)?.pending.map((item) => item.number ?? Number.MAX_VALUE) ?? [];
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    }
    const item = (number: number, id: string): Json => [number, id, {}, {}, []];
    const heap = {
      queue_running: [],
      queue_pending: [item(1, 'a'), item(5, 'c'), item(-2, 'b'), item(3, 'd')],
    };
    expect(parseQueue(heap)?.pending.map((one) => one.promptId)).toEqual(['b', 'a', 'd', 'c']);
  });

  it('keeps who posted a prompt and what they said about it, but not the graph', () => {
    const posted = {
      client_id: 'me',
      gw: { job: 'j' },
      extra_pnginfo: { workflow: {} },
      api_key_comfy_org: 'key',
    };
    const queue = parseQueue({ queue_running: [[1, 'p', { '1': {} }, posted, ['1']]], queue_pending: [] });
    expect(queue?.running).toEqual([
      { promptId: 'p', number: 1, clientId: 'me', extraData: { client_id: 'me', gw: { job: 'j' } } },
    ]);
  });

  it('knows where a prompt stands', () => {
    const call = recording('queue_delete').http.find((one) => one.path === '/queue' && one.method === 'GET');
    const queue = parseQueue(call?.response_body as Json);
    if (!queue) throw new Error('not a queue');
    expect(placeInQueue(queue, '5867de20-25fc-4539-9b5c-f8a3177e8578')).toBe('running');
    expect(placeInQueue(queue, 'f1cd1b13-d72d-4109-8934-1b3270a2e246')).toBe('pending');
    expect(placeInQueue(queue, 'another')).toBe('absent');
  });

  it('never throws, and calls nothing a queue that is none', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(parseQueue(value as Json)).toBeNull();
        expect(parseQueue({ queue_running: [value as Json], queue_pending: [value as Json] })).not.toBeNull();
      }),
    );
  });
});

describe('parsePromptCount', () => {
  it('reads every recorded answer', () => {
    for (const body of answers('/prompt')) expect(parsePromptCount(body)).toBeGreaterThanOrEqual(0);
    expect(parsePromptCount({})).toBeNull();
  });
});
