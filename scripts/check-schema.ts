/**
 * Keeps schema.graphql honest: it must be what the code prints, and a breaking change against the last committed one
 * must be declared in schema-changes.json as {"change": "...", "why": "..."}, with the text this script prints.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { CriticalityLevel, diff } from '@graphql-inspector/core';
import { buildSchema as parseSchema } from 'graphql';
import { printedSchema } from './print-schema.ts';

interface Declared {
  readonly change: string;
  readonly why: string;
}

const root = new URL('..', import.meta.url);

function git(...args: string[]): string | null {
  try {
    const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio });
  } catch {
    return null;
  }
}

/** The schemas that clients may rely on: the committed one, and the one before when the last commit touched it. */
function earlierSchemas(): string[] {
  const last = git('show', 'HEAD:schema.graphql');
  const touched = git('diff', '--name-only', 'HEAD~1', 'HEAD', '--', 'schema.graphql');
  const before = touched?.trim() ? git('show', 'HEAD~1:schema.graphql') : null;
  return [last, before].filter((text) => text !== null);
}

function declaredChanges(): ReadonlySet<string> {
  const file = new URL('schema-changes.json', root);
  if (!existsSync(file)) return new Set();
  const declared = JSON.parse(readFileSync(file, 'utf8')) as Declared[];
  const unexplained = declared.filter(({ change, why }) => !change || !why);
  if (unexplained.length > 0) throw new Error('schema-changes.json: every entry needs "change" and "why"');
  return new Set(declared.map(({ change }) => change));
}

async function problems(): Promise<string[]> {
  const printed = printedSchema();
  const file = new URL('schema.graphql', root);
  const found: string[] = [];
  if (!existsSync(file) || readFileSync(file, 'utf8') !== printed) {
    found.push('schema.graphql is not what the code prints; run: npm run schema');
  }
  const declared = declaredChanges();
  for (const earlier of earlierSchemas()) {
    for (const change of await diff(parseSchema(earlier), parseSchema(printed))) {
      if (change.criticality.level !== CriticalityLevel.Breaking || declared.has(change.message)) continue;
      found.push(`breaking change, not declared in schema-changes.json: ${change.message}`);
    }
  }
  return [...new Set(found)];
}

const found = await problems();
for (const problem of found) console.error(problem);
if (found.length === 0) console.log('schema.graphql is up to date, without undeclared breaking changes');
process.exitCode = found.length > 0 ? 1 : 0;
