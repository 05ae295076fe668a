/** The noun Model: the model files of the fleet, and where each one is. */
import type { Inventory } from '../domain/capabilities.ts';
import type { Instance } from '../domain/instance.ts';
import type { EquippedInstance } from '../store/inventories.ts';
import type { Builder } from './builder.ts';
import { MODEL_KINDS, type ModelKind, type ModelView, type Refs } from './refs.ts';

export function addModel(builder: Builder, refs: Refs): void {
  builder.objectType(refs.Model, {
    description:
      'A model file that instances list. Files of one name are one model where they are of one kind, else different ones.',
    fields: (t) => ({
      name: t.exposeString('name', {
        description:
          'Exactly as graphs must write it, with its subfolder; instances on Windows write `sub\\file`, others `sub/file`.',
      }),
      kind: t.field({
        type: refs.ModelKind,
        description: 'What it is, by the folder that it lies in.',
        resolve: ({ kind }) => kind,
      }),
      instances: t.field({
        type: [refs.Instance],
        description: 'Instances that list it, healthy or not, by name.',
        resolve: ({ instances }) => instances,
      }),
    }),
  });
  builder.queryField('models', (t) =>
    t.field({
      type: [refs.Model],
      description:
        'Model files that some instance lists, by kind and name, as they were last read: every INVENTORY_REFRESH_MS, and by `probeInstance`.',
      args: {
        kind: t.arg({ type: refs.ModelKind, description: 'Only those of this kind.' }),
        name: t.arg.string({
          description: 'Only those whose name contains this, in small or capital letters.',
        }),
      },
      resolve: async (_root, { kind, name }, { loaders }) => {
        const part = name?.toLowerCase() ?? '';
        const models = modelsOf(await loaders.equipped.load('fleet'));
        return models.filter(
          (model) => (!kind || model.kind === kind) && model.name.toLowerCase().includes(part),
        );
      },
    }),
  );
}

const KIND_OF_FOLDER: Readonly<Record<string, ModelKind>> = {
  checkpoints: 'CHECKPOINT',
  loras: 'LORA',
  vae: 'VAE',
  vae_approx: 'VAE',
  controlnet: 'CONTROLNET',
  upscale_models: 'UPSCALER',
  latent_upscale_models: 'UPSCALER',
  embeddings: 'EMBEDDING',
  clip: 'CLIP',
  text_encoders: 'CLIP',
  diffusion_models: 'DIFFUSION_MODEL',
  unet: 'DIFFUSION_MODEL',
  diffusers: 'DIFFUSION_MODEL',
};

function kindOf(folder: string): ModelKind {
  return (Object.hasOwn(KIND_OF_FOLDER, folder) ? KIND_OF_FOLDER[folder] : undefined) ?? 'OTHER';
}

function modelsOf(fleet: readonly EquippedInstance[]): ModelView[] {
  // what equal instances list is gone through once
  const owners = new Map<Inventory, Instance[]>();
  for (const { instance, inventory } of fleet) {
    if (!inventory) continue;
    const same = owners.get(inventory);
    if (same) same.push(instance);
    else owners.set(inventory, [instance]);
  }
  const models = new Map<string, { kind: ModelKind; name: string; instances: Set<Instance> }>();
  for (const [{ models: files }, instances] of owners) {
    for (const { kind: folder, name } of files) {
      const kind = kindOf(folder);
      const key = `${kind}/${name}`;
      const model = models.get(key) ?? { kind, name, instances: new Set() };
      models.set(key, model);
      for (const instance of instances) model.instances.add(instance);
    }
  }
  return [...models.values()]
    .map(({ instances, ...model }) => ({ ...model, instances: [...instances].sort(byName) }))
    .sort((a, b) => MODEL_KINDS.indexOf(a.kind) - MODEL_KINDS.indexOf(b.kind) || byName(a, b));
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
