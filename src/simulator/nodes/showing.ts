/** Where pictures end: saved, shown, or sent over the socket. */
import { type NodeClass, picturesOf, str } from '../node-class.ts';
import { jpeg, type Picture } from '../pictures.ts';
import { encodePng } from '../png-text.ts';
import { isObject } from '../python-json.ts';
import { formatInput } from '../tensor-text.ts';
import { savePictures, tempPrefix } from './saving.ts';

const HIDDEN = { prompt: 'PROMPT', extra_pnginfo: 'EXTRA_PNGINFO' };

const SAVE_IMAGE: NodeClass = {
  name: 'SaveImage',
  displayName: 'Save Image',
  category: 'image',
  description: 'Saves the input images to your ComfyUI output directory.',
  required: {
    images: ['IMAGE', { tooltip: 'The images to save.' }],
    filename_prefix: [
      'STRING',
      {
        default: 'ComfyUI',
        tooltip:
          'The prefix for the file to save. This may include formatting information such as %date:yyyy-MM-dd% or %Empty Latent Image.width% to include values from nodes.',
      },
    ],
  },
  hidden: HIDDEN,
  outputs: [],
  isOutput: true,
  run: async (call) => {
    const saved = await savePictures(
      call,
      picturesOf(call.inputs.images),
      'output',
      str(call.inputs.filename_prefix),
    );
    return { ui: { images: saved } };
  },
};

const PREVIEW_IMAGE: NodeClass = {
  name: 'PreviewImage',
  displayName: 'Preview Image',
  category: 'image',
  description: 'Saves the input images to your ComfyUI output directory.',
  required: { images: ['IMAGE'] },
  hidden: HIDDEN,
  outputs: [],
  isOutput: true,
  run: async (call) => ({
    ui: { images: await savePictures(call, picturesOf(call.inputs.images), 'temp', tempPrefix(call)) },
  }),
};

function asRgb(picture: Picture): Picture {
  if (picture.channels !== 1) return picture;
  const data = Buffer.alloc(picture.data.length * 3);
  for (let index = 0; index < picture.data.length; index += 1)
    data.fill(picture.data[index] ?? 0, index * 3, index * 3 + 3);
  return { ...picture, channels: 3, data };
}

const MASK_PREVIEW: NodeClass = {
  name: 'MaskPreview',
  displayName: 'Preview Mask',
  category: 'mask',
  pythonModule: 'comfy_extras.nodes_mask',
  required: { mask: ['MASK'] },
  hidden: HIDDEN,
  outputs: [],
  isOutput: true,
  run: async (call) => ({
    ui: {
      images: await savePictures(call, picturesOf(call.inputs.mask).map(asRgb), 'temp', tempPrefix(call)),
    },
  }),
};

const SAVE_WEBSOCKET: NodeClass = {
  name: 'SaveImageWebsocket',
  category: 'api/image',
  pythonModule: 'custom_nodes.websocket_image_save',
  required: { images: ['IMAGE'] },
  outputs: [],
  isOutput: true,
  changed: () => performance.now(),
  run: async (call) => {
    const pictures = picturesOf(call.inputs.images);
    for (const [index, picture] of pictures.entries()) {
      await call.progress(index, pictures.length, { format: 'PNG', bytes: await encodePng(picture) });
    }
    return {};
  },
};

const SEND_WEBSOCKET: NodeClass = {
  name: 'ETN_SendImageWebSocket',
  displayName: 'Send Image (WebSocket)',
  category: 'external_tooling',
  pythonModule: 'custom_nodes.comfyui-tooling-nodes',
  required: { images: ['IMAGE'], format: [['PNG', 'JPEG'], { default: 'PNG' }] },
  outputs: [],
  isOutput: true,
  run: async (call) => {
    const format = str(call.inputs.format) === 'JPEG' ? 'JPEG' : 'PNG';
    const entries: unknown[] = [];
    for (const picture of picturesOf(call.inputs.images)) {
      const bytes =
        format === 'PNG' ? await encodePng(picture) : await jpeg(picture, picture.width, picture.height);
      call.sendFrame({ format, bytes });
      entries.push({ source: 'websocket', 'content-type': `image/${format.toLowerCase()}`, type: 'output' });
    }
    return { ui: { images: entries } };
  },
};

const PREVIEW_ANY: NodeClass = {
  name: 'PreviewAny',
  displayName: 'Preview Any',
  category: 'utils',
  pythonModule: 'comfy_extras.nodes_preview_any',
  required: { source: ['*', {}] },
  outputs: [],
  isOutput: true,
  run: ({ inputs }) => {
    const source = inputs.source;
    const text =
      isObject(source) && !('kind' in source) ? JSON.stringify(source, null, 4) : String(formatInput(source));
    return { ui: { text: [text] } };
  },
};

export const SHOWING_NODES: readonly NodeClass[] = [
  SAVE_IMAGE,
  PREVIEW_IMAGE,
  MASK_PREVIEW,
  PREVIEW_ANY,
  SAVE_WEBSOCKET,
  SEND_WEBSOCKET,
];
