/**
 * Binary messages of the socket: a big-endian event number, then a layout per event (observed on ComfyUI 0.3.64):
 *
 *   1  picture without an owner: uint32 format (1 JPEG, 2 PNG), image
 *   2  internal to ComfyUI, never on the wire
 *   3  text: uint32 length, node id, text to the end
 *   4  preview with metadata: uint32 length, JSON that names prompt and node, image
 */
import { isObject } from '../lib/json.ts';
import { textField } from './fields.ts';
import { parseLenientJson } from './lenient-json.ts';
import { type ComfyMessage, malformed } from './messages.ts';

const EVENT_IMAGE = 1;
const EVENT_TEXT = 3;
const EVENT_IMAGE_WITH_METADATA = 4;
const IMAGE_FORMATS: Readonly<Record<number, string>> = { 1: 'image/jpeg', 2: 'image/png' };

/** One binary frame. The image is a view of `bytes`, not a copy. Never throws. */
export function parseBinaryFrame(bytes: Uint8Array): ComfyMessage {
  if (bytes.length < 8) return malformed('a binary frame shorter than its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const event = view.getUint32(0);
  const second = view.getUint32(4);
  switch (event) {
    case EVENT_IMAGE:
      return imageFrame(second, bytes.subarray(8));
    case EVENT_TEXT:
      return 8 + second > bytes.length ? malformed('a text frame cut short') : textFrame(bytes, 8 + second);
    case EVENT_IMAGE_WITH_METADATA:
      return 8 + second > bytes.length
        ? malformed('a preview frame cut short')
        : imageWithMetadata(bytes.subarray(8, 8 + second), bytes.subarray(8 + second));
    default:
      return { kind: 'unknown', type: `binary:${event}`, promptId: null, data: null };
  }
}

function imageFrame(format: number, image: Uint8Array): ComfyMessage {
  const mimeType = IMAGE_FORMATS[format];
  if (!mimeType) return malformed(`a picture of unknown format ${format}`);
  if (image.length === 0) return malformed('a picture without bytes');
  return {
    kind: 'preview',
    promptId: null,
    nodeId: null,
    displayNodeId: null,
    mimeType,
    image,
    metadata: false,
  };
}

function textFrame(bytes: Uint8Array, textStart: number): ComfyMessage {
  const decoder = new TextDecoder();
  const nodeId = decoder.decode(bytes.subarray(8, textStart));
  return { kind: 'text', nodeId, text: decoder.decode(bytes.subarray(textStart)) };
}

function imageWithMetadata(metadata: Uint8Array, image: Uint8Array): ComfyMessage {
  const json = parseLenientJson(new TextDecoder().decode(metadata));
  if (!json.ok || !isObject(json.value)) return malformed('a preview whose metadata is not an object');
  if (image.length === 0) return malformed('a preview without bytes');
  const nodeId = textField(json.value, 'node_id');
  return {
    kind: 'preview',
    promptId: textField(json.value, 'prompt_id'),
    nodeId,
    displayNodeId: textField(json.value, 'display_node_id') ?? nodeId,
    mimeType: textField(json.value, 'image_type') ?? 'image/jpeg',
    image,
    metadata: true,
  };
}
