/**
 * Changes a fleet at random while it works: adds, drains, resumes and removes instances by mutation on any replica, kills
 * some and starts them again, and now and then kills the leader. At least two that take work are always left.
 */
import { rawId } from '../../src/graphql/global-id.ts';
import { PatientClient } from '../patient-client.ts';
import type { SimulatorProgram } from '../processes.ts';
import { askFleet, type FleetAnswer, type FleetMutation, fleetOf } from './fleet-mutations.ts';
import { leaderOf } from './leaders.ts';
import type { Disturbance, Scene } from './under-load.ts';

export interface ChangeSize {
  readonly changes: number;
  /** Between two changes. */
  readonly longestPauseMs: number;
  /** Every so many of them is a kill of the leader; 0: none. */
  readonly leaderEvery: number;
}

type Kind = FleetMutation | 'kill';

/** A change as it was made. */
export interface Change extends FleetAnswer {
  readonly what: Kind | 'kill of the leader';
  /** Name of the simulator; of a leader its own. */
  readonly instance: string;
  /** Id of the row that it was about; null for none. */
  readonly rowId: string | null;
}

interface Machine {
  readonly program: SimulatorProgram;
  /** Those of the configuration cannot be removed. */
  readonly configured: boolean;
  /** As clients have it; null while it is not in the fleet. */
  id: string | null;
  draining: boolean;
  /** It was killed and is not back yet. */
  comingBack: Promise<void> | null;
}

const AWAY_MS = { least: 100, most: 2500 };
const LEFT_TO_WORK = 2;

export class FleetChanger implements Disturbance {
  readonly changes: Change[] = [];
  /** Answers that were not those of success. */
  readonly refusals: string[] = [];
  readonly #size: ChangeSize;
  #machines: readonly Machine[] = [];
  #client: PatientClient | undefined;

  constructor(size: ChangeSize) {
    this.#size = size;
  }

  progress(): number {
    return this.changes.length / this.#size.changes;
  }

  /** The fleet as it should be now: names, and whether they are drained. */
  expected(): ReadonlyMap<string, boolean> {
    const there = this.#machines.filter(({ id }) => id !== null);
    return new Map(there.map(({ program, draining }) => [program.name, draining]));
  }

  async run(scene: Scene): Promise<void> {
    const { cluster, say, pause, random } = scene;
    const over = new AbortController();
    this.#client = new PatientClient(
      cluster.apis.map(({ url }) => url),
      over.signal,
    );
    const known = new Map((await fleetOf(this.#client)).map(({ name, id }) => [name, id]));
    this.#machines = cluster.instances.map((program) => {
      const id = known.get(program.name) ?? null;
      return { program, configured: id !== null, id, draining: false, comingBack: null };
    });
    while (this.changes.length < this.#size.changes) {
      await pause(random() * this.#size.longestPauseMs);
      await this.#changeOne(scene);
      if (this.changes.length % 20 === 0) say(`${this.changes.length} of ${this.#size.changes} changes`);
    }
    await Promise.all(this.#machines.map(({ comingBack }) => comingBack));
    for (const machine of this.#machines) if (machine.draining) await this.#mutate('resumeInstance', machine);
    over.abort();
  }

  /** Whatever was made least often until now and is possible, with any machine that it is possible with. */
  async #changeOne(scene: Scene): Promise<void> {
    const { leaderEvery } = this.#size;
    if (leaderEvery > 0 && this.changes.length % leaderEvery === leaderEvery - 1)
      return this.#killLeader(scene);
    const possible = this.#possible();
    const made = (what: Kind): number => this.changes.filter((one) => one.what === what).length;
    const rarest = Math.min(...possible.map(([what]) => made(what)));
    const next = possible.filter(([what]) => made(what) === rarest);
    const [what, machine] = next[Math.floor(scene.random() * next.length)] ?? [];
    if (!what || !machine) return;
    if (what === 'kill') return this.#kill(machine, scene);
    await this.#mutate(what, machine);
  }

  #possible(): (readonly [Kind, Machine])[] {
    const working = this.#machines.filter(({ id, draining, comingBack }) => id && !draining && !comingBack);
    const spared = working.length > LEFT_TO_WORK;
    return this.#machines.flatMap((machine) => {
      const { id, draining, configured, comingBack } = machine;
      const may = (what: Kind, fits: boolean) => (fits ? [[what, machine] as const] : []);
      const costs = working.includes(machine);
      return [
        ...may('addInstance', id === null && !comingBack),
        ...may('drainInstance', id !== null && !draining && (spared || !costs)),
        ...may('resumeInstance', draining),
        ...may('removeInstance', id !== null && !configured && (spared || !costs)),
        ...may('kill', id !== null && !comingBack && (spared || !costs)),
      ];
    });
  }

  async #mutate(what: FleetMutation, machine: Machine): Promise<void> {
    const { program, id: before } = machine;
    if (!this.#client) throw new Error('it does not run');
    const { url, name } = program;
    const input = what === 'addInstance' ? { url, name } : { id: before };
    const answer = await askFleet(this.#client, what, input);
    if (answer.id === null) this.refusals.push(`${what} of ${name}: ${answer.type}`);
    else {
      machine.id = what === 'removeInstance' ? null : answer.id;
      machine.draining = what === 'drainInstance';
    }
    this.#note(what, name, answer, answer.id ?? before);
  }

  async #kill(machine: Machine, { random, pause }: Scene): Promise<void> {
    const { program, id } = machine;
    const askedAt = Date.now();
    await program.end('SIGKILL');
    this.#note('kill', program.name, { askedAt, answeredAt: Date.now(), type: '', id }, id);
    const awayMs = AWAY_MS.least + random() * (AWAY_MS.most - AWAY_MS.least);
    machine.comingBack = pause(awayMs)
      .then(() => program.start())
      .finally(() => {
        machine.comingBack = null;
      });
  }

  /** It is started again at once, as a standby. */
  async #killLeader({ cluster }: Scene): Promise<void> {
    const { program } = await leaderOf(cluster);
    const askedAt = Date.now();
    await program.end('SIGKILL');
    await program.start();
    const answer = { askedAt, answeredAt: Date.now(), type: '', id: null };
    this.#note('kill of the leader', program.name, answer, null);
  }

  #note(what: Change['what'], instance: string, answer: FleetAnswer, id: string | null): void {
    const rowId = id === null ? null : (rawId(id, 'Instance') ?? id);
    this.changes.push({ ...answer, what, instance, rowId });
  }
}
