/** What graphs of custom nodes need and what instances lack, against the simulator's own validation where it checks it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseObjectInfo } from '../../src/comfyui/object-info.ts';
import { type Inventory, missingFrom, needsKey, needsOf } from '../../src/domain/capabilities.ts';
import type { Json } from '../../src/lib/json.ts';
import type { NodeWorld } from '../../src/simulator/node-class.ts';
import { nodeClasses } from '../../src/simulator/node-classes.ts';
import { objectInfo } from '../../src/simulator/object-info.ts';
import { resolveOptions } from '../../src/simulator/options.ts';
import { validatePrompt } from '../../src/simulator/validation.ts';
import { FLEET, type FleetMember, GRAPHS, type GraphCase, UNCHECKED } from '../support/custom-graphs.ts';
import { customNodes, SHOW } from '../support/custom-nodes.ts';

async function instanceOf({ name, folders, packs }: FleetMember) {
  const addNodeClasses = [SHOW, ...(packs ? customNodes(folders) : [])];
  const options = resolveOptions({ models: folders, addNodeClasses });
  const classes = nodeClasses(options);
  const world: NodeWorld = {
    models: (folder) => options.models[folder] ?? [],
    inputFiles: async () => [],
    inputPath: async () => undefined,
  };
  const info = parseObjectInfo(JSON.parse(JSON.stringify(await objectInfo(classes, world))) as Json);
  const inventory = info?.inventory as Inventory;
  return {
    name,
    inventory,
    accepts: async (graph: GraphCase['graph']) => {
      const verdict = await validatePrompt(structuredClone(graph) as Json, undefined, classes, world);
      return verdict.ok && Object.keys(verdict.nodeErrors).length === 0;
    },
  };
}
const fleet = await Promise.all(FLEET.map(instanceOf));

describe('graphs of custom nodes', () => {
  it.each([...GRAPHS, ...UNCHECKED])('miss exactly what an instance lacks: $title', ({ graph, missing }) => {
    const needs = needsOf(graph, fleet);
    const nodeTypes = [...new Set(Object.values(graph).map((node) => node.class_type))].sort();
    for (const { name, inventory } of fleet) {
      const known = new Set(inventory.nodeTypes);
      expect({ name, ...missingFrom(needs, inventory) }).toEqual({
        name,
        nodeTypes: nodeTypes.filter((nodeType) => !known.has(nodeType)),
        models: missing[name],
      });
    }
  });

  it('are accepted with a missing model that nothing takes from', async () => {
    const graph = UNCHECKED.find(({ title }) => title.includes('nothing takes from'))?.graph ?? {};
    expect(await Promise.all(fleet.map(({ accepts }) => accepts(graph)))).toEqual([true, false, true]);
  });

  it.each(GRAPHS)('are accepted where nothing is missing, and nowhere else: $title', async ({ graph }) => {
    const needs = needsOf(graph, fleet);
    for (const { name, inventory, accepts } of fleet) {
      const { nodeTypes, models } = missingFrom(needs, inventory);
      // an undeclared input is checked by nobody before the run
      const isChecked = models.some((model) =>
        needs.uses?.some(
          (use) => use.model === model && inventory.inputs && use.input in inventory.inputs.offers,
        ),
      );
      if (nodeTypes.length > 0 || isChecked)
        expect({ name, accepted: await accepts(graph) }).toEqual({ name, accepted: false });
      else if (models.length === 0)
        expect({ name, accepted: await accepts(graph) }).toEqual({ name, accepted: true });
    }
  });

  it.each([...GRAPHS, ...UNCHECKED])(
    'have one class, however their nodes and the fleet are ordered: $title',
    ({ graph }) => {
      const turned = Object.fromEntries(
        Object.entries(graph)
          .reverse()
          .map(([id, { class_type, inputs }]) => [
            id,
            { class_type, inputs: Object.fromEntries(Object.entries(inputs).reverse()) },
          ]),
      );
      const needs = needsOf(graph, fleet);
      expect(needsOf(turned, [...fleet].reverse())).toEqual(needs);
      expect(needsKey(needsOf(turned, [...fleet].reverse()))).toBe(needsKey(needs));
    },
  );

  it.each(GRAPHS)(
    'submitted before any instance was read miss no less of what looks like a file: $title',
    ({ graph, missing }) => {
      const needs = needsOf(graph);
      for (const { name, inventory } of fleet) {
        const files = missing[name].filter((model) => /\.\w+$/.test(model));
        expect({ name, models: missingFrom(needs, inventory).models }).toEqual({ name, models: files });
      }
    },
  );

  it('are accepted exactly by the instances that lack nothing, whatever names lie in whatever folders', async () => {
    const name = fc.constantFrom(
      ...['a.safetensors', 'A.safetensors', 'sub/a.safetensors', 'sub\\a.safetensors', 'b.ckpt', 'a folder'],
    );
    const files = fc.uniqueArray(name, { maxLength: 4 });
    // an input whose name tells nothing is known by files only: an empty list says nothing of it
    const file = name.filter((text) => text.includes('.'));
    const folders = fc.record({
      checkpoints: files,
      loras: files,
      vae: files,
      LLM: files,
      upscale_models: fc.uniqueArray(file, { minLength: 1, maxLength: 4 }),
    });
    const member = folders.map((given): FleetMember => ({ name: 'studio', folders: given, packs: true }));
    const loader = fc.record({
      ckpt_name: name,
      vae_name: fc.oneof(name, fc.constant('Baked VAE')),
      lora_name: fc.oneof(name, fc.constant('None')),
      positive: name,
    });
    const seen = { accepted: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(member, { minLength: 1, maxLength: 3 }),
        loader,
        name,
        file,
        async (members, loads, folder, upscaler) => {
          const graph = {
            '1': { class_type: 'Efficient Loader', inputs: loads },
            '2': { class_type: 'Florence2ModelLoader', inputs: { model: folder, precision: 'fp16' } },
            '3': { class_type: '画像拡大モデル', inputs: { モデル: upscaler } },
            '4': { class_type: 'ShowAnything', inputs: { anything: ['1', 0], more: ['2', 0] } },
            '5': { class_type: 'ShowAnything', inputs: { anything: ['3', 0] } },
          };
          const instances = await Promise.all(members.map(instanceOf));
          const needs = needsOf(graph, instances);
          for (const { inventory, accepts } of instances) {
            const { models } = missingFrom(needs, inventory);
            const accepted = await accepts(graph);
            expect({ models, accepted }).toEqual({ models, accepted: models.length === 0 });
            seen[accepted ? 'accepted' : 'refused']++;
          }
        },
      ),
      {
        numRuns: 200,
        examples: [
          [
            [
              {
                name: 'studio',
                packs: true,
                folders: {
                  ...{ checkpoints: ['b.ckpt'], loras: ['a.safetensors'], vae: [] },
                  ...{ LLM: ['a folder'], upscale_models: ['b.ckpt'] },
                },
              },
            ],
            { ckpt_name: 'b.ckpt', vae_name: 'Baked VAE', lora_name: 'a.safetensors', positive: 'b.ckpt' },
            ...(['a folder', 'b.ckpt'] as const),
          ],
        ],
      },
    );
    expect(seen.accepted).toBeGreaterThan(0);
    expect(seen.refused).toBeGreaterThan(0);
  });
});
