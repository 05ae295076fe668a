/** The server under comparison: a simulator with a clock of its own, in the state the recording found its server in. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../../src/simulator/simulator.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';
import { Pace } from './pace.ts';

export interface Target {
  readonly simulator: Simulator;
  readonly pace: Pace;
  readonly dataDir: string;
  end(): Promise<void>;
}

export async function startTarget(options: SimulatorOptions): Promise<Target> {
  const clock = new VirtualClock();
  const dataDir = await mkdtemp(join(tmpdir(), 'comfyfleet-fidelity-'));
  const simulator = await startSimulator({ ...options, clock, dataDir });
  return {
    simulator,
    pace: new Pace(clock),
    dataDir,
    async end() {
      await simulator.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
