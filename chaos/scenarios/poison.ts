/**
 * A job that ends the process of every instance it runs on, in a pool of eight whose instances are started again as soon as
 * they are gone, with innocent jobs all around it. Timings are the defaults. (R12)
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '../../src/lib/json.ts';
import { TestClient } from '../../test/support/graphql-client.ts';
import { sleepGraph } from '../../test/support/graphs.ts';
import {
  aftermath,
  bareId,
  countOf,
  DEFAULT_TIMES,
  inLanes,
  startAll,
  submit,
  tally,
  untilIdle,
} from '../load.ts';
import { type SimulatorProgram, withGround } from '../processes.ts';
import { randomFrom, type Scenario } from '../scenario.ts';

const POOL = 8;
const INNOCENTS = Number(process.env.CHAOS_JOBS ?? 120);
const RESTART_MS = 1000;

/** No innocent job has a node of this class. */
const POISON: JsonObject = {
  '1': { class_type: 'RigBlockingSleep', inputs: { seconds: 0.5, salt: 666 } },
  '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'poison' } },
};

export const poison: Scenario = ({ seed, say }) =>
  withGround(async (ground) => {
    const random = randomFrom(seed);
    const simulators = await Promise.all(
      Array.from({ length: POOL }, (_, n) => ground.simulator(`gpu${n}`, { nodeMs: 5 })),
    );
    await startAll(simulators);
    await Promise.all(simulators.map((one) => one.setFaults({ crashAtNode: 'RigBlockingSleep' })));
    const gateway = await ground.gateway(simulators, DEFAULT_TIMES);
    await startAll([gateway]);
    const client = new TestClient(gateway.url);
    const supervisor = new Supervisor(simulators, say);
    const acknowledged: string[] = [];
    const poisonAt = Math.floor(INNOCENTS / 4);
    let poisonId = '';
    await inLanes(INNOCENTS, 4, async (salt) => {
      if (salt === poisonAt) {
        poisonId = bareId(await submit(client, POISON));
        acknowledged.push(poisonId);
      }
      const graph = sleepGraph({ seconds: 0.5 + random() * 3, steps: 10, salt });
      acknowledged.push(bareId(await submit(client, graph)));
    });
    say(`${INNOCENTS} innocent jobs and one that ends whatever instance it runs on`);
    await untilIdle(client, { withinMs: 300_000, say });
    await supervisor.stop();
    await client.close();
    const { jobs, attempts, violations } = await aftermath(gateway, simulators, { acknowledged });
    const dead = jobs.find((job) => job.id === poisonId);
    const innocents = jobs.filter((job) => job.id !== poisonId);
    const tookMs = (dead?.finished_at ?? Number.NaN) - (dead?.created_at ?? 0);
    const harmed = innocents.filter((job) => job.status !== 'COMPLETED');
    const again = innocents.filter((job) => job.attempt_count !== 1);
    const tries = attempts.filter((attempt) => attempt.job_id === poisonId);
    say(`attempts of the poison: ${tally(tries.map((one) => `${one.instance_name} ${one.error_code}`))}`);
    const finding = (what: string, target: string, measured: string, met: boolean) => ({
      row: 'R12',
      what,
      target,
      measured,
      met,
    });
    return [
      finding(
        'instances that had to be restarted',
        'at most 2',
        String(supervisor.restarts),
        supervisor.restarts <= 2,
      ),
      finding('innocent jobs that failed', '0', String(harmed.length), harmed.length === 0),
      finding('innocent jobs that ran again', '0', String(again.length), again.length === 0),
      finding(
        'the job ends as POISON',
        'within 180 s',
        `${dead?.error_code ?? dead?.status} after ${(tookMs / 1000).toFixed(1)} s`,
        dead?.error_code === 'POISON' && tookMs <= 180_000,
      ),
      finding('broken promises I1-I8', '0', countOf(violations), violations.length === 0),
    ];
  });

/** Starts an instance again whenever its process has ended. */
class Supervisor {
  restarts = 0;
  readonly #stop = new AbortController();
  readonly #watches: readonly Promise<void>[];

  constructor(simulators: readonly SimulatorProgram[], say: (line: string) => void) {
    this.#watches = simulators.map((one) => this.#watch(one, say));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#watches);
  }

  async #watch(simulator: SimulatorProgram, say: (line: string) => void): Promise<void> {
    while (!this.#stop.signal.aborted) {
      if (!simulator.running) {
        this.restarts++;
        say(`${simulator.name} is gone and is started again`);
        await sleep(RESTART_MS);
        await simulator.start();
      }
      await sleep(50);
    }
  }
}
