import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/domain/graph.ts';
import { recentRuns } from '../../src/store/run-times.ts';
import { eventually } from '../support/eventually.ts';
import { startRig } from './rig.ts';

function imageWith(model: string, seed: number): Graph {
  return {
    '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: model } },
    '2': { class_type: 'CLIPTextEncode', inputs: { clip: ['1', 1], text: 'a lake' } },
    '3': { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } },
    '4': {
      class_type: 'KSampler',
      inputs: {
        ...{ model: ['1', 0], positive: ['2', 0], negative: ['2', 0], latent_image: ['3', 0], seed },
        ...{ steps: 4, cfg: 7, sampler_name: 'euler', scheduler: 'normal', denoise: 1 },
      },
    },
    '5': { class_type: 'VAEDecode', inputs: { samples: ['4', 0], vae: ['1', 2] } },
    '6': { class_type: 'SaveImage', inputs: { images: ['5', 0], filename_prefix: 'x' } },
  };
}

describe('what instances have in memory, as a fleet runs', () => {
  it('is what they ran last, on the row and after another term began, and gone once one restarted', async () => {
    const models = { checkpoints: ['flux.safetensors', 'sdxl.safetensors'] };
    const gateway = await startRig({ simulators: [{ models, residentModels: 1, modelLoadMs: 50 }] });
    const loaded = async (): Promise<readonly string[]> => {
      const row = await gateway.store.db
        .selectFrom('instances')
        .select('loaded_models')
        .executeTakeFirstOrThrow();
      return JSON.parse(row.loaded_models) as string[];
    };
    for (const [n, model] of models.checkpoints.entries()) {
      const id = await gateway.submit(imageWith(model, n));
      expect((await gateway.ended(id)).status).toBe('COMPLETED');
      await eventually(async () => (await loaded()).join() === model);
    }
    expect(await recentRuns(gateway.store.db, 10)).toHaveLength(2);
    await gateway.shutDown();
    await gateway.boot();
    await eventually(() => gateway.fleet.instances()[0]?.answering);
    expect(await loaded()).toEqual(['sdxl.safetensors']);
    await gateway.simulator.control.crash();
    await eventually(() => !gateway.fleet.instances()[0]?.answering);
    await gateway.simulator.control.restart();
    await eventually(async () => (await loaded()).length === 0);
  });

  it('is not what a job would have needed that the instance refused', async () => {
    const models = { checkpoints: ['flux.safetensors'] };
    const rig = await startRig({
      simulators: [{ models, modelLoadMs: 50 }],
    });
    const loaded = (): readonly string[] => rig.fleet.instances()[0]?.instance.loadedModels ?? [];
    const refused = imageWith('flux.safetensors', 1);
    const { '4': sampler } = refused;
    if (!sampler) throw new Error('no sampler');
    const id = await rig.submit({
      ...refused,
      '4': { ...sampler, inputs: { ...sampler.inputs, sampler_name: 'nobody knows it' } },
    });
    expect((await rig.ended(id)).status).toBe('FAILED');
    await eventually(() => loaded().length === 0);
  });
});
