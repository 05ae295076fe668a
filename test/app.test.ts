import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../src/app.ts';
import { parseConfig } from '../src/config.ts';
import { createLogger } from '../src/lib/logger.ts';

const shipped = new URL('../workflows/upscale-image.json', import.meta.url);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'comfyfleet-app-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the gateway', () => {
  it.each(['cancelJob', 'time'])(
    'does not start with a workflow called %s, whose names are taken',
    async (name) => {
      const workflow = JSON.parse(await readFile(shipped, 'utf8'));
      await writeFile(join(folder, 'own.json'), JSON.stringify({ ...workflow, name }));
      const config = parseConfig({ DATA_DIR: join(folder, name), WORKFLOWS_DIR: folder, PORT: '0' });
      await expect(createApp(config, createLogger('silent'))).rejects.toThrow(
        'do not fit the schema: Duplicate',
      );
    },
  );
});
