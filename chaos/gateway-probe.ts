/** Looks into the process of a gateway (preload.ts): memory, open files, timers and the delay of its event loop. */
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';
import type { ProcessCounts } from './preload-counts.ts';
import type { Ground, Program } from './processes.ts';

/** Bytes, counts, and ms for the delay since the mark before. */
export interface Look {
  readonly kind: 'sample' | 'mark';
  readonly at: number;
  readonly heapUsed: number;
  readonly rss: number;
  readonly external: number;
  readonly arrayBuffers: number;
  readonly files: number;
  readonly resources: Readonly<Record<string, number>>;
  readonly delay: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Since its process began; only where it was asked for. */
  readonly counts?: Readonly<ProcessCounts>;
}

export class GatewayProbe {
  /** To be set for the gateway's process. */
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;

  private constructor(file: string, preloads: readonly string[], everyMs: number) {
    this.#file = file;
    this.env = {
      NODE_OPTIONS: preloads.map((one) => `--import=${pathToFileURL(one).href}`).join(' '),
      CHAOS_PROBE: file,
      CHAOS_PROBE_MS: String(everyMs),
    };
  }

  /** `counting`: what it asks of its database and whom it dials is counted too. */
  static async on(ground: Ground, everyMs = 1000, counting = false): Promise<GatewayProbe> {
    const names = [...(counting ? ['preload-counts'] : []), 'preload'];
    const preloads = await Promise.all(names.map((name) => compiled(name, ground.folder)));
    return new GatewayProbe(join(ground.folder, 'probe.jsonl'), preloads, everyMs);
  }

  looks(): Look[] {
    if (!existsSync(this.#file)) return [];
    const lines = readFileSync(this.#file, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Look);
  }

  /** What is left after a garbage collection; the delay of the loop is measured anew from here. */
  async mark(gateway: Program): Promise<Look> {
    const marks = (): Look[] => this.looks().filter((look) => look.kind === 'mark');
    const before = marks().length;
    gateway.signal('SIGUSR2');
    for (let tries = 0; tries < 600; tries++) {
      const mark = marks()[before];
      if (mark) return mark;
      await sleep(50);
    }
    throw new Error('the gateway does not answer its probe');
  }
}

/** A file beside this one as JavaScript in the folder; its path. */
async function compiled(name: string, folder: string): Promise<string> {
  const source = readFileSync(fileURLToPath(new URL(`${name}.ts`, import.meta.url)), 'utf8');
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
  });
  const file = join(folder, `${name}.mjs`);
  await writeFile(file, outputText);
  return file;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
