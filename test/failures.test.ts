/** FAILURES.md promises something for every failure it lists; here it is held to naming tests that exist. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);
const EXPECTED = numbers(1, 46).map((number) => `F${number}`);

interface Row {
  readonly id: string;
  readonly tests: readonly { readonly file: string; readonly title: string }[];
}

function rowsOf(markdown: string): Row[] {
  const lines = markdown.split('\n').filter((line) => /^\| F\d+ \|/.test(line));
  return lines.map((line) => {
    const id = /^\| (F\d+) \|/.exec(line)?.[1] ?? '';
    const tests = [...line.matchAll(/`([\w./-]+\.ts)` "([^"]+)"/g)];
    return { id, tests: tests.map(([, file = '', title = '']) => ({ file, title })) };
  });
}

const rows = rowsOf(readFileSync(here('FAILURES.md'), 'utf8'));

describe('the table of failures', () => {
  it('has one row for each failure of the catalogue, in order', () => {
    expect(rows.map(({ id }) => id)).toEqual(EXPECTED);
  });

  it.each(rows)('names tests for $id that exist and carry its number', ({ id, tests }) => {
    expect(tests.length).toBeGreaterThan(0);
    for (const { file, title } of tests) {
      const source = readFileSync(here(file), 'utf8');
      expect(source, `${file} has no test "${title}"`).toContain(title);
      expect(title, `the title in ${file} does not say ${id}`).toMatch(new RegExp(`\\b${id}\\b`));
    }
  });
});
