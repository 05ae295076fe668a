/**
 * What the simulated process was posted and what it ran, over all its lives: the evidence of fault tests. With a file it
 * outlives a SIGKILL too, because each line is handed to the system before anything else happens.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { isObject, type Json } from './python-json.ts';

/** A POST /prompt that reached the queue, as GET /simulator/prompts shows it. */
export interface PromptRecord {
  readonly promptId: string;
  readonly at: number;
  readonly number: number;
  /** The tag of a gateway among its extra data; null for a prompt of somebody else. */
  readonly tag: Json;
  /** Whether the reply was sent. */
  answered: boolean;
}

/** One run as GET /simulator/executions shows it; times are epoch milliseconds. */
export interface ExecutionRecord {
  readonly promptId: string;
  readonly number: number;
  readonly clientId: string | null;
  readonly startedAt: number;
  endedAt: number | null;
  outcome: 'running' | 'success' | 'error' | 'interrupted' | 'died';
}

type Line =
  | { readonly posted: PromptRecord }
  | { readonly answered: number }
  | { readonly started: ExecutionRecord }
  | { readonly ended: number; readonly outcome: ExecutionRecord['outcome']; readonly at: number };

export class RunLog {
  readonly prompts: PromptRecord[] = [];
  readonly executions: ExecutionRecord[] = [];
  private readonly file: string | undefined;

  /** What the file holds of an earlier process is taken up; runs it left open died with it. */
  constructor(file?: string) {
    this.file = file;
    if (file !== undefined && existsSync(file)) this.read(readFileSync(file, 'utf8'));
    for (const run of this.executions) if (run.outcome === 'running') run.outcome = 'died';
  }

  posted(prompt: PromptRecord): void {
    this.write({ posted: prompt });
  }

  answered(promptId: string): void {
    const index = this.prompts.findLastIndex((prompt) => prompt.promptId === promptId);
    this.write({ answered: index });
  }

  /** The record, for `ended`. */
  started(run: ExecutionRecord): ExecutionRecord {
    this.write({ started: run });
    return run;
  }

  ended(run: ExecutionRecord, outcome: ExecutionRecord['outcome'], at: number): void {
    this.write({ ended: this.executions.indexOf(run), outcome, at });
  }

  private write(line: Line): void {
    this.apply(line);
    if (this.file !== undefined) appendFileSync(this.file, `${JSON.stringify(line)}\n`);
  }

  private read(text: string): void {
    for (const line of text.split('\n')) if (line.endsWith('}')) this.apply(JSON.parse(line) as Line);
  }

  private apply(line: Line): void {
    if ('posted' in line) this.prompts.push(line.posted);
    else if ('started' in line) this.executions.push(line.started);
    else if ('answered' in line) {
      const prompt = this.prompts[line.answered];
      if (prompt) prompt.answered = true;
    } else {
      const run = this.executions[line.ended];
      if (run) Object.assign(run, { outcome: line.outcome, endedAt: line.at });
    }
  }
}

/** The gateway's tag in what came beside a prompt. */
export function tagIn(extraData: Json): Json {
  return isObject(extraData) ? (extraData.comfyfleet ?? null) : null;
}
