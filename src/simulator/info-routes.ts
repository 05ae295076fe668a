/** The routes that only tell: features, models, node classes, machine. */

import type { LifeSetting } from './life-setting.ts';
import { describeNode, objectInfo } from './object-info.ts';
import type { JsonObject } from './python-json.ts';
import { type Exchange, sendEmpty, sendJson, sendText } from './reply.ts';
import type { ServerLife } from './server-life.ts';

export function serverFeatures({ options }: LifeSetting): JsonObject {
  return { supports_preview_metadata: true, max_upload_size: options.maxUploadBytes };
}

/** A resident model is assumed to take this much of the GPU. */
const MODEL_BYTES = 5 * 1024 ** 3;

export function systemStats(life: ServerLife, { options }: LifeSetting): unknown {
  const total = options.vramTotalBytes;
  const free = Math.max(0, total - life.models().length * MODEL_BYTES);
  return {
    system: {
      os: 'posix',
      ram_total: 25276514304,
      ram_free: 21422592000,
      comfyui_version: options.version,
      required_frontend_version: '1.27.10',
      installed_templates_version: null,
      required_templates_version: '0.1.95',
      python_version: '3.11.7 (main, May  9 2026, 07:35:25) [GCC 12.2.0]',
      pytorch_version: '2.8.0+cu128',
      embedded_python: false,
      argv: ['main.py', '--listen', options.host],
    },
    devices: [
      {
        name: options.gpuName,
        type: 'cuda',
        index: 0,
        vram_total: total,
        vram_free: free,
        torch_vram_total: total - free,
        torch_vram_free: 0,
      },
    ],
  };
}

/** True when the path was one of these routes. */
export async function infoRoute(
  exchange: Exchange,
  life: ServerLife,
  setting: LifeSetting,
): Promise<boolean> {
  const { path } = exchange;
  const { models } = setting.options;
  const fixed: Record<string, () => unknown> = {
    '/features': () => serverFeatures(setting),
    '/system_stats': () => systemStats(life, setting),
    '/prompt': () => life.status(),
    '/models': () => Object.keys(models),
    '/embeddings': () => (models.embeddings ?? []).map((name) => name.replace(/\.[^.]*$/, '')),
    '/extensions': () => [],
    '/settings': () => ({}),
    '/i18n': () => ({}),
    '/workflow_templates': () => ({}),
    '/users': () => ({ storage: 'server', migrated: false }),
  };
  const answer = fixed[path];
  if (answer) sendJson(exchange, answer());
  else if (path === '/object_info') sendJson(exchange, await objectInfo(setting.classes, life.world));
  else if (path.startsWith('/object_info/')) await oneClass(exchange, life, setting);
  else if (/^\/(experiment\/)?models\/[^/]+$/.test(path)) modelFolder(exchange, setting);
  else if (path === '/userdata') sendText(exchange, 400, 'Directory not provided');
  else if (path === '/internal/files/output') sendJson(exchange, await setting.files.list('output'));
  else return false;
  return true;
}

async function oneClass(exchange: Exchange, life: ServerLife, setting: LifeSetting): Promise<void> {
  const name = decodeURIComponent(exchange.path.slice('/object_info/'.length));
  const node = setting.classes.get(name);
  sendJson(exchange, node ? { [name]: await describeNode(node, life.world) } : {});
}

function modelFolder(exchange: Exchange, { options }: LifeSetting): void {
  const folder = decodeURIComponent(exchange.path.split('/').at(-1) ?? '');
  const names = options.models[folder];
  if (!names) {
    sendEmpty(exchange, 404);
    return;
  }
  const detailed = exchange.path.startsWith('/experiment');
  const modified = 1795319372.1431894;
  const details = names.map((name) => ({
    name,
    pathIndex: 0,
    modified,
    created: modified,
    size: 2132625150,
  }));
  sendJson(exchange, detailed ? details : names);
}
