import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { readDockerfile } from './dockerfile.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const stages = readDockerfile();
const image = stages.at(-1);
const json = (file: string) => JSON.parse(readFileSync(join(ROOT, file), 'utf8'));

it('copies files that there are, and that .dockerignore lets through', () => {
  const allowed = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1));
  const sources = stages
    .flatMap(({ copies }) => copies.filter(({ from }) => !from))
    .flatMap((c) => c.sources);
  const names = sources.map((source) => normalize(source));
  expect(names.filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
  expect([...new Set(names)].sort()).toEqual(allowed.sort());
});

it('takes from earlier stages what they have', () => {
  const names = stages.map(({ name }) => name);
  for (const [n, { copies }] of stages.entries()) {
    for (const { from } of copies) if (from) expect(names.slice(0, n)).toContain(from);
  }
});

it('has in the image everything that the program opens beside itself', () => {
  const inImage = image?.copies
    .flatMap(({ sources }) => sources)
    .map((source) => normalize(source.replace(/^\/app\//, '')));
  expect(inImage).toEqual(expect.arrayContaining(['dist', 'node_modules', 'package.json']));
  const src = join(ROOT, 'src');
  const opened = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) =>
      [...readFileSync(join(src, file), 'utf8').matchAll(/new URL\('(\.[^']+)', import\.meta\.url\)/g)].map(
        ([, target = '']) => relative(ROOT, join(dirname(join(src, file)), target)),
      ),
    )
    .filter((path) => !path.startsWith('src'));
  expect(opened).toContain('workflows');
  expect(opened.filter((path) => !inImage?.includes(path.split('/')[0] ?? ''))).toEqual([]);
});

it('starts the program itself, as nobody of importance, with what package.json names', () => {
  expect(image?.entrypoint).toEqual(['node', json('package.json').bin.comfyfleet]);
  expect(image?.command).toEqual(['serve']);
  expect(image?.user).toBe('1000:1000');
  expect(json('tsconfig.build.json').compilerOptions.outDir).toBe('dist');
});
