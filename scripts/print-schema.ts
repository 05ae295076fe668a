/** Prints the schema, as the shipped workflows make it, to schema.graphql; with --stdout to the terminal instead. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { printSchema } from 'graphql';
import { buildSchema } from '../src/graphql/schema.ts';
import { loadWorkflows } from '../src/workflows/registry.ts';

const root = new URL('..', import.meta.url);

export function printedSchema(): string {
  const workflows = loadWorkflows(fileURLToPath(new URL('workflows', root)));
  return `${printSchema(buildSchema({ workflows: workflows.list() }))}\n`;
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const text = printedSchema();
  if (process.argv.includes('--stdout')) process.stdout.write(text);
  else await writeFile(new URL('schema.graphql', root), text);
}
