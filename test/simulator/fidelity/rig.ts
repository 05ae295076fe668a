/** What the rig had that made the recordings: its models, its speed, and the set orders of its processes. */
import type { SimulatorOptions } from '../../../src/simulator/simulator.ts';
import { isRecord, type Recording } from './recording.ts';

export function rigOptions(options: SimulatorOptions, recording?: Recording): SimulatorOptions {
  return {
    seed: 'fidelity',
    stepMs: 1000,
    previewMethod: 'latent',
    models: { checkpoints: ['random_sd15.safetensors'], loras: [], vae: [], upscale_models: [] },
    ...(recording ? { orderOutputs: outputOrder(recording) } : {}),
    ...options,
  };
}

/**
 * The outputs of a prompt are a Python set: their order, and with it the order of nodes that do not depend on each other,
 * is the process's own. The recording shows it in its queue items, and the simulator is told to use the same.
 */
function outputOrder(recording: Recording): (ids: readonly string[]) => readonly string[] {
  const orders = new Map<string, readonly string[]>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      const outputs: unknown = value[4];
      if (Array.isArray(outputs) && outputs.every((id) => typeof id === 'string'))
        orders.set(keyOf(outputs), outputs);
      value.forEach(visit);
    } else if (isRecord(value)) Object.values(value).forEach(visit);
    else if (typeof value === 'string') {
      // A history entry that was cut: its queue item ends right before its outputs.
      const cut = /, (\["[^\]]*"\])\], "outputs"/.exec(value)?.[1];
      if (cut !== undefined) orders.set(keyOf(JSON.parse(cut)), JSON.parse(cut));
    }
  };
  visit(recording.http.map((request) => request.response_body));
  return (ids) => orders.get(keyOf(ids)) ?? ids;
}

function keyOf(ids: readonly unknown[]): string {
  return ids.map(String).sort().join();
}
