/** What the rig had that made the recordings: its models, its speed, and the nodes it brought to provoke things. */
import type { SimulatorOptions } from '../../../src/simulator/simulator.ts';

export function rigOptions(options: SimulatorOptions): SimulatorOptions {
  return {
    seed: 'fidelity',
    stepMs: 1000,
    nodeMs: 0,
    previewMethod: 'latent',
    models: { checkpoints: ['random_sd15.safetensors'], loras: [], vae: [], upscale_models: [] },
    ...options,
  };
}
