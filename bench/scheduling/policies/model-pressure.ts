/**
 * Model pressure, in the manner of SwarmUI (BackendHandler: TryFind, ModelRequestPressure, LoadHighestPressureNow). Of it are
 * modelled: requests are looked at by arrival; each takes the least used instance that holds its model and has fewer than
 * 1 + over-queue requests; a request that finds none puts pressure on its model (10 a waiting request, 1 a second since the
 * first of them came); the model under most pressure gets an instance once it has waited for longer than the patience or
 * nobody else loads; unused instances first, then those used longest ago; a busy one takes nothing more, is drained, and loads.
 *
 * Written to win, beyond the original: it is asked after every event rather than by a polling thread, an instance keeps as many models
 * as fit, patience, over-queue, and the weights may be chosen, only idle instances may be reloaded, the victim may be the
 * instance whose models nobody waits for, and a load may have to wait until the pressure of its model is above that of what it displaces.
 */
import { isWarm, type Job, type MachineState, type Policy, type Start, type World } from '../world.ts';

export interface PressureSetting {
  /** Requests bound to an instance beyond the one that runs. */
  readonly overQueue: number;
  /** How long a model waits while another is being loaded, ms. */
  readonly patienceMs: number;
  readonly perRequest: number;
  readonly perSecond: number;
  /** May a busy instance be taken out and drained for a load. */
  readonly drains: boolean;
  readonly victim: 'used longest ago' | 'least wanted';
  /** Pressure of the model must be this many times that of the models it displaces. */
  readonly advantage: number;
}

/** As SwarmUI has it. */
export const SWARM_SETTING: PressureSetting = {
  overQueue: 1,
  patienceMs: 1500,
  perRequest: 10,
  perSecond: 1,
  drains: true,
  victim: 'used longest ago',
  advantage: 0,
};

export function modelPressure(setting: PressureSetting): Policy {
  const pool = new Pool(setting);
  return {
    came: (job) => pool.came(job),
    ended: ({ machine, job }, { now }) => pool.ended(machine, job, now),
    starts: (world) => pool.starts(world),
    wakeAt: () => pool.wakeAt,
  };
}

interface Place {
  /** Bound to it, not running yet. */
  readonly bound: Job[];
  /** Taken out to load this. */
  reservedFor: string | null;
  lastUsed: number;
}

class Pool {
  readonly #setting: PressureSetting;
  /** Model to its unbound requests, by arrival; nothing empty. */
  readonly #waiting = new Map<string, Job[]>();
  #places: Place[] = [];
  wakeAt: number | null = null;

  constructor(setting: PressureSetting) {
    this.#setting = setting;
  }

  came(job: Job): void {
    const line = this.#waiting.get(job.model);
    if (line) line.push(job);
    else this.#waiting.set(job.model, [job]);
  }

  ended(machine: number, job: Job | null, now: number): void {
    const place = this.#places[machine] as Place;
    place.lastUsed = now;
    if (!job) place.reservedFor = null;
  }

  starts(world: World): Start[] {
    if (this.#places.length === 0)
      this.#places = world.machines.map(() => ({ bound: [], reservedFor: null, lastUsed: 0 }));
    this.wakeAt = null;
    this.#bind(world);
    this.#load(world);
    return world.machines.flatMap((state) => this.#startOn(state));
  }

  #place({ index }: MachineState): Place {
    return this.#places[index] as Place;
  }

  #uses(state: MachineState): number {
    return this.#place(state).bound.length + (state.doing ? 1 : 0);
  }

  /** Every waiting request, by arrival, takes the least used instance that holds its model. */
  #bind({ machines }: World): void {
    const open = machines.filter(
      (state) => !this.#place(state).reservedFor && this.#uses(state) <= this.#setting.overQueue,
    );
    const taken = (model: string): MachineState[] => open.filter((state) => isWarm(state, model));
    const lines = [...this.#waiting].filter(([model]) => taken(model).length > 0);
    while (lines.length > 0 && open.length > 0) {
      const [model, line] = lines.reduce((first, other) =>
        (other[1][0] as Job).id < (first[1][0] as Job).id ? other : first,
      );
      const holders = taken(model);
      const job = holders.length > 0 ? line.shift() : undefined;
      if (job) {
        const place = holders.reduce((least, other) =>
          this.#uses(other) < this.#uses(least) ? other : least,
        );
        this.#place(place).bound.push(job);
        if (this.#uses(place) > this.#setting.overQueue) open.splice(open.indexOf(place), 1);
      }
      if (line.length === 0) this.#waiting.delete(model);
      if (!job || line.length === 0)
        lines.splice(
          lines.findIndex(([name]) => name === model),
          1,
        );
    }
  }

  /** Gives instances to the models under most pressure. */
  #load(world: World): void {
    const { patienceMs } = this.#setting;
    const byPressure = [...this.#waiting.keys()]
      .map((model) => ({ model, pressure: this.#pressure(model, world.now) }))
      .sort((a, b) => b.pressure - a.pressure);
    for (const { model, pressure } of byPressure) {
      if (this.#places.some(({ reservedFor }) => reservedFor === model)) continue;
      const waited = world.now - (this.#waiting.get(model)?.[0]?.at ?? world.now);
      if (this.#places.some(({ reservedFor }) => reservedFor !== null) && waited < patienceMs) {
        const patientUntil = world.now - waited + patienceMs;
        this.wakeAt = Math.min(this.wakeAt ?? patientUntil, patientUntil);
        continue;
      }
      const victim = this.#victim(world, model, pressure);
      if (victim) this.#place(victim).reservedFor = model;
      else this.wakeAt ??= world.now + 5000; // pressure grows with time
    }
  }

  #pressure(model: string, now: number): number {
    const line = this.#waiting.get(model);
    const first = line?.[0];
    if (!line || !first) return 0;
    const { perRequest, perSecond } = this.#setting;
    return perRequest * line.length + (perSecond * (now - first.at)) / 1000;
  }

  #victim({ machines, now }: World, model: string, pressure: number): MachineState | undefined {
    const { drains, victim, advantage } = this.#setting;
    const wanted = (state: MachineState): number =>
      Math.max(0, ...displaced(state).map((held) => this.#pressure(held, now)));
    return machines
      .filter(
        (state) =>
          !this.#place(state).reservedFor &&
          !isWarm(state, model) &&
          (drains || this.#uses(state) === 0) &&
          pressure > advantage * wanted(state),
      )
      .sort(
        (a, b) =>
          this.#uses(a) - this.#uses(b) ||
          (victim === 'least wanted' ? wanted(a) - wanted(b) : 0) ||
          this.#place(a).lastUsed - this.#place(b).lastUsed,
      )[0];
  }

  #startOn(state: MachineState): Start[] {
    if (state.doing) return [];
    const place = this.#place(state);
    const job = place.bound.shift();
    if (job) return [{ machine: state.index, job }];
    return place.reservedFor === null ? [] : [{ machine: state.index, model: place.reservedFor }];
  }
}

/** What a load would push out of memory. */
function displaced({ memory, machine }: MachineState): string[] {
  return memory.length < machine.resident ? [] : memory.slice(0, 1);
}
