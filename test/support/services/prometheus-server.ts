/** A Prometheus of a test's own, and its tool that checks rules. */
import { execFile } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { freePort } from '../../../chaos/ports.ts';
import { findPrograms } from './programs.ts';
import { Server } from './server.ts';
import { ServerProcess } from './server-process.ts';
import { PROMETHEUS } from './wanted.ts';

const run = promisify(execFile);

/** Labels and the newest value of one series. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One target as Prometheus sees it. */
export interface Target {
  readonly health: 'up' | 'down' | 'unknown';
  readonly lastError: string;
}

export class PrometheusServer extends Server {
  readonly url: string;

  private constructor(daemon: ServerProcess, port: number) {
    super(daemon);
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Not started yet. @throws when there is no Prometheus and none can be had. */
  static async create(config: object): Promise<PrometheusServer> {
    const command = await commandOf('prometheus');
    const port = await freePort();
    const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-prometheus-'));
    const file = join(folder, 'prometheus.yml');
    await writeFile(file, stringify(config));
    const args = [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    return new PrometheusServer(new ServerProcess({ command, args, folder }), port);
  }

  answers(): Promise<boolean> {
    return fetch(`${this.url}/-/ready`, { signal: AbortSignal.timeout(1000) }).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  /** What an expression says now. @throws with Prometheus' words when it is wrong. */
  async query(expression: string): Promise<Sample[]> {
    const { result } = await this.#get<Vector>('query', { query: expression });
    return result.map(({ metric, value: [, value] }) => ({ labels: metric, value: Number(value) }));
  }

  async targets(): Promise<readonly Target[]> {
    return (await this.#get<{ activeTargets: Target[] }>('targets')).activeTargets;
  }

  /** Rules by name, and how their last evaluation went. */
  async rules(): Promise<ReadonlyMap<string, { readonly health: string; readonly lastError?: string }>> {
    type Rules = { groups: { rules: { name: string; health: string; lastError?: string }[] }[] };
    const { groups } = await this.#get<Rules>('rules');
    return new Map(groups.flatMap(({ rules }) => rules.map((rule) => [rule.name, rule])));
  }

  async #get<T>(path: string, parameters: Readonly<Record<string, string>> = {}): Promise<T> {
    const query = new URLSearchParams(parameters);
    const answer = await fetch(`${this.url}/api/v1/${path}?${query}`);
    const body = (await answer.json()) as { status: string; data: T; error?: string };
    if (body.status !== 'success') throw new Error(`${parameters.query ?? path}: ${body.error}`);
    return body.data;
  }
}

interface Vector {
  readonly result: readonly { readonly metric: Record<string, string>; readonly value: [number, string] }[];
}

/** What promtool says. @throws with it when it finds something wrong. */
export async function promtool(...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run(await commandOf('promtool'), args).catch(
    ({ stdout: out, stderr: problems }: { stdout: string; stderr: string }) => {
      throw new Error(`promtool ${args.join(' ')}:\n${out}${problems}`);
    },
  );
  return stdout + stderr;
}

async function commandOf(name: 'prometheus' | 'promtool'): Promise<string> {
  const [found] = await findPrograms([PROMETHEUS]);
  if (found?.kind !== 'commands') throw new Error('Prometheus must be a command of this machine');
  return found.paths[name] ?? name;
}
