import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { KNOBS, S3_CREDENTIALS } from './knobs.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string) => readFileSync(ROOT + file, 'utf8');
const guide = read('DEPLOYMENT.md');

it('names variables that there are: knobs, credentials of the S3 client, and those of docker-compose.yml', () => {
  const ofCompose = [...read('docker-compose.yml').matchAll(/\$\{(\w+)/g)].map(([, name = '']) => name);
  const known = new Set<string>([...KNOBS, ...S3_CREDENTIALS, ...ofCompose, 'STORAGE_UNAVAILABLE']);
  const named = [...guide.matchAll(/\b[A-Z][A-Z0-9]*_[A-Z][A-Z_0-9]*\b(?!\*)/g)].map(([name]) => name);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((name) => !known.has(name) && !name.endsWith('_'))).toEqual([]);
});

it.each(['DEPLOYMENT.md', 'README.md'])('%s links to files that there are', (file) => {
  const links = [...read(file).matchAll(/\]\(([^)#:]+)\)/g)].map(([, link = '']) => link);
  expect(links.length).toBeGreaterThan(2);
  expect(links.filter((link) => !existsSync(ROOT + link))).toEqual([]);
});

it('names services and manifests that there are', () => {
  const services = new Set(
    [...read('docker-compose.yml').matchAll(/^ {2}([\w-]+):$/gm)].map(([, name]) => name),
  );
  for (const name of ['api-1', 'api-2', 'scheduler', 'standby']) expect(services).toContain(name);
  const manifests = guide.match(/for part in ([^;]+);/)?.[1]?.split(' ') ?? [];
  expect(manifests.length).toBeGreaterThan(3);
  expect(manifests.filter((name) => !existsSync(`${ROOT}deploy/kubernetes/${name}.yaml`))).toEqual([]);
});
