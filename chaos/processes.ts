/**
 * The gateway and its simulated instances as OS processes that a scenario kills, stops and starts again on the same port
 * and the same folder. Whatever was started is ended at the end, by its handle, also when the scenario throws.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Faults } from '../src/simulator/faults.ts';
import { type ExecutionRecord, type PromptRecord, RunLog } from '../src/simulator/run-log.ts';
import { compile } from './compile.ts';
import { bareEnvironment, type Env, QUICK } from './environment.ts';
import { answers, freePort } from './ports.ts';

/** How a process ended: its exit code, or the signal that ended it. */
export type Exit = number | NodeJS.Signals;

interface ProgramOptions {
  readonly args: readonly string[];
  readonly env: Env;
  readonly port: number;
  readonly logFile: string;
  /** Answered with any status once it serves. */
  readonly path: string;
}

/** One program over all its lives. */
export class Program {
  /** The same over restarts. */
  readonly url: string;
  /** What it said, over restarts. */
  readonly logFile: string;
  readonly #options: ProgramOptions;
  #child: ChildProcess | undefined;

  constructor(options: ProgramOptions) {
    this.#options = options;
    this.url = `http://127.0.0.1:${options.port}`;
    this.logFile = options.logFile;
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.running ? this.#child?.pid : undefined;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when it answers. @throws with the end of its log when it ends before. */
  async start(env: Env = {}): Promise<void> {
    this.launch(env);
    await this.serving();
  }

  /** Starts it without waiting until it answers, for a life that is meant to end early. */
  launch(env: Env = {}): void {
    if (this.running) throw new Error(`${this.url} runs already`);
    const log = openSync(this.logFile, 'a');
    this.#child = spawn(process.execPath, this.#options.args, {
      env: { ...bareEnvironment(), ...this.#options.env, ...env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
  }

  async serving(withinMs = 60_000): Promise<void> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      if (await answers(`${this.url}${this.#options.path}`)) return;
      if (!this.running) throw new Error(`${this.url} ended before it served:\n${this.#lastWords()}`);
      if (performance.now() > deadline) throw new Error(`${this.url} does not serve:\n${this.#lastWords()}`);
      await sleep(10);
    }
  }

  /** A signal that is not waited for, as SIGSTOP and SIGCONT. */
  signal(name: NodeJS.Signals): void {
    if (this.running) this.#child?.kill(name);
  }

  /** Sends the signal and waits until it is gone; null when it did not run. */
  async end(name: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<Exit | null> {
    if (!this.running) return null;
    this.#child?.kill(name);
    return this.ended();
  }

  /** Waits until it ends by itself, or by a signal sent before. */
  async ended(): Promise<Exit | null> {
    const child = this.#child;
    if (!child) return null;
    if (this.running) await once(child, 'exit');
    return child.exitCode ?? child.signalCode;
  }

  log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : '';
  }

  #lastWords(): string {
    return this.log().slice(-3000);
  }
}

export class GatewayProgram extends Program {
  readonly name: string;
  readonly dataDir: string;

  constructor(options: ProgramOptions, name: string, dataDir: string) {
    super(options);
    this.name = name;
    this.dataDir = dataDir;
  }
}

export class SimulatorProgram extends Program {
  readonly name: string;
  readonly #runLog: string;
  #faults: Partial<Faults> = {};

  constructor(options: ProgramOptions, name: string, runLog: string) {
    super(options);
    this.name = name;
    this.#runLog = runLog;
  }

  /** Faults that were set are set again. */
  override async start(env: Env = {}): Promise<void> {
    await super.start(env);
    if (Object.keys(this.#faults).length > 0) await this.setFaults(this.#faults);
  }

  /** Kept over restarts until changed. */
  async setFaults(change: Partial<Faults>): Promise<void> {
    this.#faults = { ...this.#faults, ...change };
    await this.control('faults', change);
  }

  /** POST /simulator/<route>. */
  async control(route: string, body: object = {}): Promise<void> {
    const response = await fetch(`${this.url}/simulator/${route}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${route}: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
  }

  /** What it was posted and ran, over all its lives; it need not run. */
  evidence(): {
    name: string;
    prompts: readonly PromptRecord[];
    executions: readonly ExecutionRecord[];
  } {
    const { prompts, executions } = new RunLog(existsSync(this.#runLog) ? this.#runLog : undefined);
    return { name: this.name, prompts, executions };
  }
}

export interface SimulatorSetting {
  readonly stepMs?: number;
  readonly nodeMs?: number;
  readonly modelLoadMs?: number;
}

/** What a scenario has: a temporary folder, the compiled program, and processes that end with it. */
export class Ground {
  readonly folder: string;
  /** main.js of the compiled program. */
  readonly #main: string;
  readonly #programs: Program[] = [];

  constructor(folder: string, main: string) {
    this.folder = folder;
    this.#main = main;
  }

  /** Not started yet. Its instances are named as their programs are. */
  async gateway(
    instances: readonly Pick<SimulatorProgram, 'name' | 'url'>[],
    env: Env = {},
    name = 'gateway',
  ): Promise<GatewayProgram> {
    const dataDir = join(this.folder, name);
    await mkdir(dataDir, { recursive: true });
    const port = await freePort();
    const options: ProgramOptions = {
      args: [this.#main, 'serve'],
      port,
      path: '/live',
      logFile: join(this.folder, `${name}.log`),
      env: {
        ...QUICK,
        PORT: String(port),
        DATA_DIR: dataDir,
        COMFYUI_INSTANCES: instances.map((instance) => `${instance.name}=${instance.url}`).join(','),
        ...env,
      },
    };
    return this.#keep(new GatewayProgram(options, name, dataDir));
  }

  /** Not started yet. */
  async simulator(name: string, setting: SimulatorSetting = {}): Promise<SimulatorProgram> {
    const { stepMs = 0, nodeMs = 0, modelLoadMs = 0 } = setting;
    const dataDir = join(this.folder, name);
    await mkdir(dataDir, { recursive: true });
    const port = await freePort();
    const runLog = join(this.folder, `${name}.jsonl`);
    const flags = { port, 'step-ms': stepMs, 'node-ms': nodeMs, 'model-load-ms': modelLoadMs };
    const options: ProgramOptions = {
      args: [
        this.#main,
        'simulate',
        ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]),
        ...['--data-dir', dataDir, '--log-file', runLog],
      ],
      port,
      path: '/simulator/faults',
      logFile: join(this.folder, `${name}.log`),
      env: {},
    };
    return this.#keep(new SimulatorProgram(options, name, runLog));
  }

  #keep<P extends Program>(program: P): P {
    this.#programs.push(program);
    return program;
  }

  /** Kills every program; the folder stays. */
  async endAll(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.end()));
  }

  async end(): Promise<void> {
    await this.endAll();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  /** At once, for a process that ends. */
  killAll(): void {
    for (const program of this.#programs) program.signal('SIGKILL');
  }
}

/** Runs the scenario on a ground of its own. CHAOS_KEEP=1 leaves the folder with stores and logs, and says where. */
export async function withGround<T>(work: (ground: Ground) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'comfyfleet-chaos-'));
  const ground = new Ground(folder, await compile());
  const onExit = (): void => ground.killAll();
  process.once('exit', onExit);
  try {
    return await work(ground);
  } finally {
    process.off('exit', onExit);
    if (process.env.CHAOS_KEEP) {
      ground.killAll();
      console.log(`  kept: ${folder}`);
    } else await ground.end();
  }
}
