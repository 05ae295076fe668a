/**
 * Jobs that only wait, while others of the same fleet run: one instance alone has a node they need, and is busy for the
 * time of the scenario.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '../../src/lib/json.ts';
import type { TestClient } from '../../test/support/graphql-client.ts';
import { inLanes, submit } from '../load.ts';
import type { SimulatorProgram } from '../processes.ts';

const RARE_NODE = 'ImageInvert';
const BUSY_SECONDS = 600;

/** To be called before a gateway reads what the instances have. All but the first one lack the node. */
export async function makeRare(simulators: readonly SimulatorProgram[]): Promise<void> {
  for (const simulator of simulators.slice(1))
    await simulator.control('options', { removeNodeClasses: [RARE_NODE] });
}

/** The ids of so many jobs that wait, as clients have them. */
export async function waitingJobs(client: TestClient, count: number): Promise<string[]> {
  await submit(client, inverted(BUSY_SECONDS, 0), { priority: 10, timeoutMs: (BUSY_SECONDS + 60) * 1000 });
  while (!(await runs(client))) await sleep(50);
  const ids: string[] = [];
  await inLanes(count, 8, async (n) => {
    ids.push(await submit(client, inverted(0.01, n + 1), { priority: 1 }));
  });
  return ids;
}

async function runs(client: TestClient): Promise<boolean> {
  const { queue } = await client.run<{ queue: { processing: number } }>('{ queue { processing } }');
  return queue.processing > 0;
}

function inverted(seconds: number, salt: number): JsonObject {
  return {
    '1': { class_type: 'RigSleep', inputs: { seconds, steps: 1, preview: 'none', salt } },
    '2': { class_type: RARE_NODE, inputs: { image: ['1', 0] } },
    '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'waits' } },
  };
}
