/** `comfyfleet simulate`: one simulated ComfyUI as a process of its own, for demos, tests and trying things out. */
import { type SimulatorOptions, startSimulator } from '../simulator/simulator.ts';

/** Runs until the signal aborts, or until it is told to crash. `announce` is called once with the URL. */
export async function simulate(
  options: SimulatorOptions,
  announce: (url: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const simulator = await startSimulator(options);
  announce(simulator.url);
  if (!signal.aborted)
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  await simulator.stop();
}
