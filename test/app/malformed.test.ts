import { expect, it } from 'vitest';
import { randomFrom } from '../../chaos/scenario.ts';
import { sleepGraph } from '../support/graphs.ts';
import { submitGraph } from '../support/jobs.ts';
import { type MalformedResult, sendMalformed } from '../support/malformed.ts';
import { sharedGateway } from '../support/running-gateway.ts';

const gateway = sharedGateway();

it('500 requests that nobody should send are each refused, and the gateway works on as before (F10)', async () => {
  const { client, url } = gateway();
  const results: MalformedResult[] = [];
  await sendMalformed(url, 500, randomFrom(7), (result) => results.push(result));
  expect(results.filter(({ status }) => status !== null && status >= 500)).toEqual([]);
  expect(new Set(results.map(({ what }) => what)).size).toBeGreaterThan(10);
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  const job = await submitGraph(client, sleepGraph({ seconds: 0 }), { waitMs: 20_000 });
  expect(job.status).toBe('COMPLETED');
}, 60_000);
