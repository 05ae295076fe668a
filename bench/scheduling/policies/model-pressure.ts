/**
 * Model pressure, in the manner of SwarmUI (BackendHandler: TryFind, ModelRequestPressure, LoadHighestPressureNow). Of it are
 * modelled: requests are looked at by arrival; each takes the least used instance that holds its model and has fewer than
 * 1 + over-queue requests; a request that finds none puts pressure on its model (10 a waiting request, 1 a second since the
 * first of them came); the model under most pressure gets an instance once it has waited for longer than the patience or
 * nobody else loads; unused instances first, then those used longest ago; a busy one takes nothing more, is drained, and loads.
 *
 * Written to win, beyond the original: it is asked after every event rather than by a polling thread, an instance keeps as many models
 * as fit, patience, over-queue, and the weights may be chosen, several instances may load one model at once, only idle instances may be reloaded, the victim may be the
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
  /** Loads of one model under way; never more than its requests. */
  readonly loadsAtOnce: number;
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
  loadsAtOnce: 1,
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
  /** Model to the number of its loads under way, none zero. */
  readonly #loading = new Map<string, number>();
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
    if (job || place.reservedFor === null) return;
    const others = this.#loadsOf(place.reservedFor) - 1;
    if (others === 0) this.#loading.delete(place.reservedFor);
    else this.#loading.set(place.reservedFor, others);
    place.reservedFor = null;
  }

  starts(world: World): Start[] {
    if (this.#places.length === 0)
      this.#places = world.machines.map(() => ({ bound: [], reservedFor: null, lastUsed: 0 }));
    this.wakeAt = null;
    this.#bind(world);
    this.#load(world);
    const starts: Start[] = [];
    for (const state of world.machines) {
      const start = state.doing ? null : this.#startOn(state);
      if (start) starts.push(start);
    }
    return starts;
  }

  #place({ index }: MachineState): Place {
    return this.#places[index] as Place;
  }

  #uses(state: MachineState): number {
    return this.#place(state).bound.length + (state.doing ? 1 : 0);
  }

  #isOpen(state: MachineState): boolean {
    return !this.#place(state).reservedFor && this.#uses(state) <= this.#setting.overQueue;
  }

  /** Every waiting request, by arrival, takes the least used instance that holds its model. */
  #bind({ machines }: World): void {
    const holders = this.#holders(machines.filter((state) => this.#isOpen(state)));
    while (holders.size > 0) {
      const [model, line] = this.#earliest(holders.keys());
      const open = holders.get(model)?.filter((state) => this.#isOpen(state)) ?? [];
      const [first, ...others] = open;
      if (first) {
        const least = others.reduce((a, b) => (this.#uses(b) < this.#uses(a) ? b : a), first);
        this.#place(least).bound.push(line.shift() as Job);
      }
      if (line.length === 0) this.#waiting.delete(model);
      if (!first || line.length === 0) holders.delete(model);
    }
  }

  /** Of the models that are waited for, those that are in memory there, and where. */
  #holders(open: readonly MachineState[]): Map<string, MachineState[]> {
    const holders = new Map<string, MachineState[]>();
    for (const state of open) {
      for (const model of state.memory) {
        if (!this.#waiting.has(model)) continue;
        const known = holders.get(model);
        if (known) known.push(state);
        else holders.set(model, [state]);
      }
    }
    return holders;
  }

  /** The line of the one whose first request came first. */
  #earliest(models: Iterable<string>): [string, Job[]] {
    let earliest: [string, Job[]] | null = null;
    for (const model of models) {
      const line = this.#waiting.get(model) as Job[];
      if (!earliest || (line[0] as Job).id < (earliest[1][0] as Job).id) earliest = [model, line];
    }
    return earliest as [string, Job[]];
  }

  /** Gives instances to the models under most pressure. */
  #load({ machines, now }: World): void {
    const pressures = new Map([...this.#waiting].map(([model, line]) => [model, this.#pressure(line, now)]));
    const wanting = [...pressures].filter(([model]) => this.#mayLoad(model, now));
    if (wanting.length === 0) return;
    const { drains } = this.#setting;
    const open = machines.filter(
      (state) => !this.#place(state).reservedFor && (drains || this.#uses(state) === 0),
    );
    for (const [model, pressure] of wanting.sort((a, b) => b[1] - a[1])) {
      while (this.#mayLoad(model, now)) {
        const victim = this.#victim(open, model, pressure, pressures);
        if (!victim) {
          this.#wakeBy(now + 5000); // pressure grows with time
          break;
        }
        this.#place(victim).reservedFor = model;
        this.#loading.set(model, this.#loadsOf(model) + 1);
        open.splice(open.indexOf(victim), 1);
      }
    }
  }

  #mayLoad(model: string, now: number): boolean {
    const most = Math.min(this.#setting.loadsAtOnce, this.#waiting.get(model)?.length ?? 0);
    return this.#loadsOf(model) < most && !(this.#loading.size > 0 && this.#isPatient(model, now));
  }

  #loadsOf(model: string): number {
    return this.#loading.get(model) ?? 0;
  }

  /** It may not load yet, as another one does. */
  #isPatient(model: string, now: number): boolean {
    const patientUntil = (this.#waiting.get(model)?.[0]?.at ?? now) + this.#setting.patienceMs;
    if (now >= patientUntil) return false;
    this.#wakeBy(patientUntil);
    return true;
  }

  #wakeBy(time: number): void {
    this.wakeAt = Math.min(this.wakeAt ?? time, time);
  }

  #pressure(line: readonly Job[], now: number): number {
    const { perRequest, perSecond } = this.#setting;
    return perRequest * line.length + (perSecond * (now - (line[0]?.at ?? now))) / 1000;
  }

  #victim(
    open: readonly MachineState[],
    model: string,
    pressure: number,
    pressures: ReadonlyMap<string, number>,
  ): MachineState | null {
    const { victim, advantage } = this.#setting;
    const wanted = (state: MachineState): number => pressures.get(displaced(state) ?? '') ?? 0;
    const order = (a: MachineState, b: MachineState): number =>
      this.#uses(a) - this.#uses(b) ||
      (victim === 'least wanted' ? wanted(a) - wanted(b) : 0) ||
      this.#place(a).lastUsed - this.#place(b).lastUsed;
    let best: MachineState | null = null;
    for (const state of open) {
      if (best && order(best, state) <= 0) continue;
      if (pressure > advantage * wanted(state) && !isWarm(state, model)) best = state;
    }
    return best;
  }

  #startOn(state: MachineState): Start | null {
    const { bound, reservedFor } = this.#place(state);
    const job = bound.shift();
    if (job) return { machine: state.index, job };
    return reservedFor === null ? null : { machine: state.index, model: reservedFor };
  }
}

/** What a load would push out of memory, if anything. */
function displaced({ memory, machine }: MachineState): string | undefined {
  return memory.length < machine.resident ? undefined : memory[0];
}
