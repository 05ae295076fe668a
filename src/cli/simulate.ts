/** `comfyfleet simulate`: one simulated ComfyUI as a process of its own, for demos, tests and trying things out. */
import { type SimulatorOptions, startSimulator } from '../simulator/simulator.ts';

/** Runs until the signal aborts (answers null) or the simulated process dies of what it was told to (answers why). */
export async function simulate(
  options: SimulatorOptions,
  announce: (url: string) => void,
  signal: AbortSignal,
): Promise<string | null> {
  let onCrash: (reason: string) => void = () => undefined;
  const crashed = new Promise<string>((resolve) => {
    onCrash = resolve;
  });
  const simulator = await startSimulator({ ...options, onCrash: (reason) => onCrash(reason) });
  announce(simulator.url);
  const asked = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  const reason = await Promise.race([asked, crashed]);
  await simulator.stop();
  return reason;
}
