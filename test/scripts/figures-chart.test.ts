import sharp from 'sharp';
import { expect, it } from 'vitest';
import { drawFigures, readFigures } from '../../scripts/figures-chart.ts';
import { GatewayClient } from '../../src/cli/gateway-client.ts';
import { eventually } from '../support/eventually.ts';
import { sleepGraph } from '../support/graphs.ts';
import { ended, submitGraph } from '../support/jobs.ts';
import { startGateway } from '../support/running-gateway.ts';

const T = 1_790_000_000_000;

it('draws lines with gaps as one picture that brings its own background', async () => {
  const line = (name: string, ...values: (number | null)[]) => ({
    name,
    points: values.map((value, minute) => [T + minute * 60_000, value] as const),
  });
  const svg = drawFigures({
    depth: [line('jobs', 0, 200, 3)],
    busy: [line('gpu1', 0.5, null, 1), line('gpu & <2>', null, null, null)],
    waited: [line('seconds', 1.5, 80, 4)],
    ran: [line('seconds', null, 2, 3)],
  });
  for (const text of [
    'Jobs that wait',
    'Utilisation',
    '100 %',
    'gpu1',
    'gpu &amp; &lt;2&gt;',
    '80 s',
    '2 min',
  ])
    expect(svg).toContain(text);
  const { data, info } = await sharp(Buffer.from(svg)).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height]).toEqual([900, 704]);
  // white in the corner, ink somewhere
  expect([...data.subarray(0, 3)]).toEqual([255, 255, 255]);
  expect(data.some((value) => value < 80)).toBe(true);
});

it('reads from a running gateway what it draws', async () => {
  const { url, client: submitter } = await startGateway({ instances: [{}, {}] });
  const job = await submitGraph(submitter, sleepGraph({ seconds: 0.2 }));
  await ended(submitter, job.id);
  const client = new GatewayClient(url);
  const figures = await eventually(async () => {
    const read = await readFigures(client, 'now-5m', 'now');
    const known = (lines: readonly { points: readonly (readonly [number, number | null])[] }[]) =>
      lines.some(({ points }) => points.some(([, value]) => value !== null));
    return known(read.depth) && known(read.busy) && known(read.waited) && known(read.ran) && read;
  });
  expect(figures.busy.map(({ name }) => name)).toContain((await ended(submitter, job.id)).instance?.name);
  const ran = figures.ran[0]?.points.find(([, value]) => value !== null)?.[1] ?? 0;
  expect(ran).toBeGreaterThan(0.1);
  expect(ran).toBeLessThan(20);
  expect(drawFigures(figures)).toContain('Time on the instance, p95');
  await client.close();
});
