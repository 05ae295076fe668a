import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { expect, it } from 'vitest';
import { parseConfig } from '../src/config.ts';

const example = parseEnv(readFileSync('.env.example', 'utf8')) as Record<string, string>;

it('lists every knob of the configuration with its own default', () => {
  expect(parseConfig(example)).toEqual(parseConfig({}));
});

it('names no knob that nothing reads, and leaves none out', () => {
  const read = [...readFileSync('src/config.ts', 'utf8').matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(
    ([, name]) => name,
  );
  expect(Object.keys(example).sort()).toEqual(read.sort());
});
