/** Hands what the fleet tells of its instances to those in a term whom it concerns. */
import type { Fleet } from '../fleet/fleet.ts';
import type { Clock } from '../lib/clock.ts';
import type { Learning } from './forecast/learning.ts';
import type { Runs } from './runs/runs.ts';
import type { Sweeper } from './sweeper.ts';
import type { InputFiles } from './transfers/input-files.ts';

export interface FleetNewsParts {
  readonly fleet: Pick<Fleet, 'member'>;
  readonly clock: Clock;
  readonly runs: Runs;
  readonly learning: Learning;
  readonly inputFiles: InputFiles;
  readonly sweeper: Sweeper;
  /** The term goes on. */
  readonly goesOn: () => boolean;
  /** Asks for a step soon. */
  readonly wake: () => void;
}

/** To be given to `Fleet.listen`. */
export function fleetNews(parts: FleetNewsParts): Parameters<Fleet['listen']>[0] {
  const { fleet, clock, runs, learning, inputFiles, sweeper, goesOn, wake } = parts;
  return {
    onChange: wake,
    onPanic: wake,
    onMessage: (id, message) => {
      if (goesOn()) runs.route(id, message);
    },
    onSocket: (id, change) => {
      for (const run of runs.ofInstance(id)) run.socketChanged(change === 'gone');
    },
    onComeback: (id, comeback) => {
      inputFiles.forget(id);
      if (comeback !== 'same') learning.cameBack(id, clock.now());
      for (const run of runs.ofInstance(id)) run.socketChanged(true);
    },
    onQueue: (id, queue) => {
      const member = fleet.member(id);
      if (member && goesOn()) sweeper.sweep(member, queue);
    },
  };
}
