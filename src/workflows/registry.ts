/** The workflows of a folder, read once at start: a mistake in any file stops the start and every mistake is named. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowDefinition, WorkflowRegistry } from './definition.ts';
import { readWorkflowFile } from './workflow-file.ts';

/** Some files of the workflows folder could not be understood; the message lists every problem, one a line. */
export class WorkflowFilesError extends Error {
  override readonly name = 'WorkflowFilesError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the workflows could not be read:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/** Reads every `*.json` of the folder; throws WorkflowFilesError. */
export function loadWorkflows(dir: string): WorkflowRegistry {
  const problems: string[] = [];
  const found: WorkflowDefinition[] = [];
  for (const file of jsonFiles(dir)) {
    const read = readWorkflowFile(readFileSync(join(dir, file), 'utf8'));
    if (!read.ok) problems.push(...read.problems.map((problem) => `${file}: ${problem}`));
    else if (found.some((workflow) => workflow.name === read.workflow.name))
      problems.push(`${file}: name: another file has a workflow '${read.workflow.name}'`);
    else found.push(read.workflow);
  }
  if (problems.length > 0) throw new WorkflowFilesError(problems);
  return createRegistry(found);
}

/** A registry of the given workflows; their names must differ. */
export function createRegistry(workflows: readonly WorkflowDefinition[]): WorkflowRegistry {
  const byName = new Map(workflows.map((workflow) => [workflow.name, workflow]));
  const sorted = [...workflows].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { list: () => sorted, get: (name) => byName.get(name) ?? null };
}

function jsonFiles(dir: string): string[] {
  try {
    return readdirSync(dir)
      .filter((file) => file.endsWith('.json'))
      .sort();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new WorkflowFilesError([`${dir}: the folder cannot be read (${code})`]);
  }
}
