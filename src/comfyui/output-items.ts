/**
 * What a run produced, from the `outputs` of history or the `output` of an `executed` message. Nodes choose their keys
 * freely (videos come under "images", sound under "audio"), so every key is walked and an item is judged by its shape:
 * an object with `filename` and `type` is a file. (observed on ComfyUI 0.3.64)
 */
import { isObject, type Json, type JsonObject } from '../lib/json.ts';
import { textField } from './fields.ts';

/** Where /view finds a file. */
export interface ComfyFile {
  readonly filename: string;
  /** '' for the root of the folder. */
  readonly subfolder: string;
  readonly type: ComfyFolder;
}

export const COMFY_FOLDERS = ['output', 'input', 'temp'] as const;
export type ComfyFolder = (typeof COMFY_FOLDERS)[number];

export type OutputItem =
  | {
      readonly kind: 'file';
      readonly node: string;
      readonly key: string;
      readonly file: ComfyFile;
      /** The node says that it moves: a video or an animated picture. */
      readonly animated: boolean;
    }
  | { readonly kind: 'text'; readonly node: string; readonly key: string; readonly text: string };

export interface OutputItems {
  readonly items: readonly OutputItem[];
  /** Numbers, odd objects and other values that are neither file nor text. */
  readonly ignored: number;
}

/** Files and texts of all nodes, in the order of the answer. Never throws. */
export function collectOutputItems(outputs: JsonObject): OutputItems {
  const items: OutputItem[] = [];
  let ignored = 0;
  for (const [node, output] of Object.entries(outputs)) {
    const found = nodeOutputItems(node, output);
    items.push(...found.items);
    ignored += found.ignored;
  }
  return { items, ignored };
}

/** The same for one node's output, which is null for a cached node without any. */
export function nodeOutputItems(node: string, output: Json): OutputItems {
  if (!isObject(output)) return { items: [], ignored: output === null ? 0 : 1 };
  const animated = Array.isArray(output.animated) && output.animated.includes(true);
  const items: OutputItem[] = [];
  let ignored = 0;
  for (const [key, values] of Object.entries(output)) {
    if (key === 'animated') continue;
    for (const value of Array.isArray(values) ? values : [values]) {
      const file = comfyFile(value);
      if (file) items.push({ kind: 'file', node, key, file, animated });
      else if (typeof value === 'string' && Array.isArray(values))
        items.push({ kind: 'text', node, key, text: value });
      else ignored++;
    }
  }
  return { items, ignored };
}

function comfyFile(value: unknown): ComfyFile | null {
  if (!isObject(value)) return null;
  const filename = textField(value, 'filename');
  const type = COMFY_FOLDERS.find((folder) => folder === value.type);
  if (!filename || !type) return null;
  return { filename, subfolder: textField(value, 'subfolder') ?? '', type };
}
