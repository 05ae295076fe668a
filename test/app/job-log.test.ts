/** The log leads from a request to its job, and from there through every attempt to the end. */
import { describe, expect, it } from 'vitest';
import { rawId } from '../../src/graphql/global-id.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { eventually } from '../support/eventually.ts';
import { act, ended, submitted } from '../support/jobs.ts';
import { type GatewayOptions, startGateway } from '../support/running-gateway.ts';

type Line = Record<string, unknown>;

async function rig(options: GatewayOptions = {}) {
  const lines: Line[] = [];
  const logger = createLogger('info', { write: (line) => void lines.push(JSON.parse(line)) });
  const gateway = await startGateway({ ...options, logger });
  /** What is said of the job, in order; once the last of it is said. */
  const storyOf = async (id: string, last: string): Promise<Line[]> => {
    const job = rawId(id, 'Job');
    const story = () => lines.filter((line) => line.job === job);
    await eventually(() => story().some(({ msg }) => msg === last));
    return story();
  };
  return { gateway, lines, storyOf };
}

const SMALL = { prompt: 'a house', steps: 1, width: 64, height: 64 };
const words = (story: Line[]) => story.map(({ msg }) => msg);

describe('the log', () => {
  it('tells of a job from its request to its success', async () => {
    const { gateway, lines, storyOf } = await rig();
    const { id } = await submitted(gateway.client, 'generateImage', SMALL);
    await ended(gateway.client, id);
    const story = await storyOf(id, 'an attempt succeeded');
    expect(words(story).sort()).toEqual(['an attempt begins', 'an attempt succeeded', 'job submitted']);
    const request = lines.find(
      ({ msg, requestId }) =>
        msg === 'request' && requestId === story.find((line) => line.requestId)?.requestId,
    );
    expect(request).toMatchObject({ operation: 'mutation', outcome: 'ok', status: 200 });
    const [begins, succeeded] = story.filter(({ attempt }) => attempt !== undefined);
    expect(begins).toMatchObject({ workflow: 'generateImage', number: 1, adopted: false });
    expect(succeeded).toMatchObject({
      attempt: begins?.attempt,
      instance: begins?.instance,
      runMs: expect.any(Number),
    });
  });

  it('tells of each attempt of a job that fails, and of the job made of it', async () => {
    const { gateway, storyOf } = await rig();
    gateway.instances[0]?.control.setFaults({ nodeErrors: { KSampler: { type: 'OSError', message: 'no' } } });
    const { id } = await submitted(gateway.client, 'generateImage', { ...SMALL, maxAttempts: 2 });
    await ended(gateway.client, id);
    const told = (await storyOf(id, 'an attempt failed')).filter(({ msg }) => msg === 'an attempt failed');
    expect(told).toMatchObject([
      {
        level: 40,
        code: 'NODE_FAILED',
        decision: 'retry',
        attempt: expect.any(String),
        instance: expect.any(String),
      },
      {
        level: 40,
        code: 'NODE_FAILED',
        decision: 'final',
        attempt: expect.any(String),
        instance: expect.any(String),
      },
    ]);
    const again = await act(gateway.client, 'retryJob', id);
    const [asked] = await storyOf(again.job?.id ?? '', 'retry asked');
    expect(asked).toMatchObject({ retryOf: rawId(id, 'Job'), requestId: expect.any(String) });
  });

  it('tells of a deadline that passed while the job waited', async () => {
    const { gateway, storyOf } = await rig({ instances: [] });
    const { id } = await submitted(gateway.client, 'generateImage', { ...SMALL, deadlineMs: 1 });
    await ended(gateway.client, id);
    const story = await storyOf(id, 'a job waited past its deadline');
    expect(story.at(-1)).toMatchObject({ level: 40, code: 'DEADLINE_EXCEEDED' });
  });

  it('tells of an instance that goes away and comes back, each once', async () => {
    const { gateway, lines } = await rig();
    const changes = () =>
      lines.filter(({ msg, to }) => msg === 'the health of an instance changed' && to !== 'DEGRADED');
    await eventually(() => changes().length === 1);
    await gateway.instances[0]?.control.crash();
    await eventually(() => changes().length === 2);
    await gateway.instances[0]?.control.restart();
    await eventually(() => changes().length === 3);
    expect(changes()).toMatchObject([
      { level: 30, from: 'UNKNOWN', to: 'HEALTHY', instance: expect.any(String), instanceName: 'gpu1' },
      { level: 40, to: 'UNHEALTHY', reason: expect.stringContaining('ECONNREFUSED') },
      { level: 30, to: 'HEALTHY', reason: null },
    ]);
  });
});
