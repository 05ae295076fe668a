/** One line for all, strictly first come, first served; an instance takes the first job when it is free. */
import { isWarm, type Job, type MachineState, type Policy, type Start, type World } from '../world.ts';

/** Which of several free instances: the first found, the fastest, or one that has the model if there is one, else the fastest. */
export type Taker = 'any' | 'fastest' | 'warm';
export const TAKERS: readonly Taker[] = ['any', 'fastest', 'warm'];

export function centralFifo(taker: Taker): Policy {
  const line: Job[] = [];
  let next = 0;
  return {
    came(job) {
      line.push(job);
    },
    starts({ machines }: World) {
      const free = machines.filter(({ doing }) => !doing);
      const starts: Start[] = [];
      for (let job = line[next]; job && free.length > 0; job = line[next]) {
        const machine = take(free, job, taker);
        free.splice(free.indexOf(machine), 1);
        starts.push({ machine: machine.index, job });
        next++;
      }
      return starts;
    },
  };
}

function take(free: readonly MachineState[], job: Job, taker: Taker): MachineState {
  const rank = (state: MachineState): number => {
    if (taker === 'any') return 0;
    return state.machine.speed + (taker === 'warm' && isWarm(state, job.model) ? 1000 : 0);
  };
  return free.reduce((best, state) => (rank(state) > rank(best) ? state : best));
}
