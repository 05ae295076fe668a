/**
 * A fleet in virtual time. It knows what is true (who runs what, what is in memory, when it ends) and asks a policy, after
 * everything that happens, what starts now. An instance runs one job at a time; a job needs one model, which is loaded first
 * when it is not among the last few that ran there. Loading takes as long on every instance, running as long as its speed says.
 */
import { Timeline } from './timeline.ts';

export interface Machine {
  readonly id: string;
  /** 1 runs a job in its `workMs`, 2 in half of it. */
  readonly speed: number;
  /** Models that stay in memory, the last used ones. */
  readonly resident: number;
}

export interface Job {
  readonly id: string;
  readonly tenant: string;
  /** 1 to 10, 10 first. */
  readonly priority: number;
  readonly model: string;
  /** Jobs of one workflow take about as long, whatever model they use. */
  readonly workflow: string;
  readonly workMs: number;
  /** When it arrives, ms. */
  readonly at: number;
}

export interface Scenario {
  readonly machines: readonly Machine[];
  /** Model to the time that loading it takes, in ms. */
  readonly loadMs: ReadonlyMap<string, number>;
  /** By arrival. */
  readonly jobs: readonly Job[];
}

export interface MachineState {
  readonly machine: Machine;
  readonly index: number;
  /** What it does: runs a job, only loads a model for jobs to come, or nothing. */
  doing: { readonly job: Job | null; readonly model: string; readonly since: number } | null;
  /** In memory, the last used one last. */
  readonly memory: string[];
}

export interface World {
  readonly now: number;
  readonly scenario: Scenario;
  readonly machines: readonly MachineState[];
}

/** A job for an idle instance, or a model that it loads without one. */
export type Start =
  | { readonly machine: number; readonly job: Job }
  | { readonly machine: number; readonly model: string };

export interface Policy {
  /** The job has arrived. */
  came(job: Job, world: World): void;
  /** What starts at this moment, in this order. Asked again at once while it answers anything. */
  starts(world: World): readonly Start[];
  /** It has ended its job, or its load. */
  ended?(end: End, world: World): void;
  /** Asked again then (ms), though nothing happens. */
  wakeAt?(): number | null;
}

export interface End {
  readonly machine: number;
  /** Null for a load without a job. */
  readonly job: Job | null;
  /** From its start, the load included, in ms. */
  readonly tookMs: number;
  readonly loaded: boolean;
}

export interface Run {
  readonly job: Job;
  readonly machine: number;
  readonly startedAt: number;
  /** Loading before it, ms; 0 when the model was there. */
  readonly loadMs: number;
  readonly endedAt: number;
}

export interface Outcome {
  /** In the order of their starts. */
  readonly runs: readonly Run[];
  /** Loads without a job, ms each. */
  readonly bareLoads: readonly number[];
}

/** Runs the whole scenario. @throws when the policy leaves jobs lying or starts something on a busy instance. */
export function simulate(scenario: Scenario, policy: Policy): Outcome {
  const machines = scenario.machines.map(
    (machine, index): MachineState => ({ machine, index, doing: null, memory: [] }),
  );
  const world = { now: 0, scenario, machines };
  const ends = new Timeline<End>();
  const runs: Run[] = [];
  const bareLoads: number[] = [];
  let arrived = 0;

  const begin = (start: Start): void => {
    const state = machines[start.machine];
    if (!state || state.doing) throw new Error('a policy starts something on a busy instance');
    const job = 'job' in start ? start.job : null;
    const model = 'job' in start ? start.job.model : start.model;
    const loadMs = touch(state, model) ? 0 : (scenario.loadMs.get(model) ?? 0);
    const tookMs = loadMs + (job ? job.workMs / state.machine.speed : 0);
    state.doing = { job, model, since: world.now };
    ends.add(world.now + tookMs, { machine: start.machine, job, tookMs, loaded: loadMs > 0 });
    if (job)
      runs.push({ job, machine: start.machine, startedAt: world.now, loadMs, endedAt: world.now + tookMs });
    else bareLoads.push(loadMs);
  };

  while (runs.length < scenario.jobs.length || ends.nextAt() !== null) {
    const arrivalAt = scenario.jobs[arrived]?.at ?? Number.POSITIVE_INFINITY;
    const wakeAt = policy.wakeAt?.() ?? Number.POSITIVE_INFINITY;
    const next = Math.min(arrivalAt, ends.nextAt() ?? Number.POSITIVE_INFINITY, Math.max(wakeAt, world.now));
    if (!Number.isFinite(next)) throw new Error('a policy leaves jobs lying');
    world.now = next;
    for (const end of ends.until(next)) {
      (machines[end.machine] as MachineState).doing = null;
      policy.ended?.(end, world);
    }
    for (let job = scenario.jobs[arrived]; job && job.at <= next; job = scenario.jobs[arrived]) {
      policy.came(job, world);
      arrived++;
    }
    for (let starts = policy.starts(world); starts.length > 0; starts = policy.starts(world))
      for (const start of starts) begin(start);
  }
  return { runs, bareLoads };
}

/** Uses a model; true when it was in memory. The one not used for longest makes room. */
function touch({ memory, machine }: MachineState, model: string): boolean {
  const at = memory.indexOf(model);
  if (at >= 0) memory.splice(at, 1);
  memory.push(model);
  if (memory.length > machine.resident) memory.shift();
  return at >= 0;
}

export function isWarm({ memory }: MachineState, model: string): boolean {
  return memory.includes(model);
}

/** Runs of the job alone on that instance, ms. */
export function runMs(job: Job, { speed }: Machine): number {
  return job.workMs / speed;
}
