/** Models that turn a picture into a picture: enlarging it, removing its background. */
import { images, type NodeCall, type NodeClass, type NodeResult, picturesOf } from '../node-class.ts';
import { cutOut, type Picture, upscale } from '../pictures.ts';
import { modelOf } from './loaders.ts';

/** Tiles of 512 pixels that overlap by 32: the steps ComfyUI reports. */
function tiles({ width, height }: Picture): number {
  const along = (size: number): number => (size <= 512 ? 1 : Math.ceil((size - 32) / (512 - 32)));
  return along(width) * along(height);
}

async function upscaleWithModel(call: NodeCall): Promise<NodeResult> {
  const pictures = picturesOf(call.inputs.image);
  const model = modelOf(call.inputs.upscale_model);
  await call.useModel(model);
  const factor = Number(/(?:^|[^0-9])([248])x|x([248])/i.exec(model)?.slice(1).find(Boolean) ?? 4);
  const total = pictures.reduce((sum, picture) => sum + tiles(picture), 0);
  for (let step = 1; step <= total; step += 1) {
    if (call.stepMs > 0) await call.sleep(call.stepMs);
    await call.progress(step, total);
  }
  const bigger = await Promise.all(pictures.map((picture) => upscale(picture, factor)));
  return { outputs: [images(bigger)] };
}

const UPSCALE: NodeClass = {
  name: 'ImageUpscaleWithModel',
  displayName: 'Upscale Image (using Model)',
  category: 'image/upscaling',
  pythonModule: 'comfy_extras.nodes_upscale_model',
  required: { upscale_model: ['UPSCALE_MODEL'], image: ['IMAGE'] },
  outputs: ['IMAGE'],
  run: upscaleWithModel,
};

const REMOVE_BACKGROUND: NodeClass = {
  name: 'InspyrenetRembg',
  displayName: 'Inspyrenet Rembg',
  category: 'image',
  pythonModule: 'custom_nodes.ComfyUI-Inspyrenet-Rembg',
  required: { image: ['IMAGE'], torchscript_jit: [['default', 'on']] },
  outputs: ['IMAGE', 'MASK'],
  run: async (call) => {
    await call.useModel('inspyrenet');
    const cuts = picturesOf(call.inputs.image).map(cutOut);
    return {
      outputs: [
        images(cuts.map(({ cut }) => cut)),
        { kind: 'mask', pictures: cuts.map(({ alpha }) => alpha) },
      ],
    };
  },
};

export const ENHANCING_NODES: readonly NodeClass[] = [UPSCALE, REMOVE_BACKGROUND];
