/** GET /system_stats: version, graphics card and memory. Newer servers list several devices; the first is the one prompts run on. */
import { isObject, type Json } from '../lib/json.ts';
import { listField, nameField, objectField, textListField, wholeField } from './fields.ts';

export interface SystemStats {
  readonly comfyuiVersion: string | null;
  readonly gpu: string | null;
  readonly vramTotalBytes: number | null;
  readonly vramFreeBytes: number | null;
  /** Live previews of samplers come only when the server was started with --preview-method. */
  readonly previewsEnabled: boolean;
}

/** Null when the answer is not an object with `system`. */
export function parseSystemStats(value: Json): SystemStats | null {
  if (!isObject(value)) return null;
  const system = objectField(value, 'system');
  if (!system) return null;
  const first = listField(value, 'devices').find((device) => isObject(device));
  const device = isObject(first) ? first : {};
  const argv = textListField(system, 'argv');
  return {
    comfyuiVersion: nameField(system, 'comfyui_version'),
    gpu: nameField(device, 'name'),
    vramTotalBytes: wholeField(device, 'vram_total'),
    vramFreeBytes: wholeField(device, 'vram_free'),
    previewsEnabled:
      argv.includes('--preview-method') && argv[argv.indexOf('--preview-method') + 1] !== 'none',
  };
}
