/**
 * A ComfyUI 0.3.64 without a GPU: same routes, messages, order and surprises, real (small) pictures, and faults on
 * demand. It can run in a process of its own or inside a test. Its own routes are listed in control-routes.ts, what
 * it does differently on purpose in DIFFERENCES.md.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pause, systemClock, type Timer } from '../lib/clock.ts';
import { type AdjustableOptions, controlRoute, type SimulatorControl } from './control-routes.ts';
import { type Faults, noFaults } from './faults.ts';
import { Files } from './files.ts';
import type { LifeSetting } from './life-setting.ts';
import type { NodeClass } from './node-class.ts';
import { nodeClasses } from './node-classes.ts';
import { resolveOptions, type SimulatorOptions } from './options.ts';
import { randomFrom } from './pictures.ts';
import { RunLog } from './run-log.ts';
import { SimulatedServer } from './server.ts';
import { ServerLife } from './server-life.ts';

export type { SimulatorOptions };

export interface Simulator {
  /** http://host:port, the same over restarts. */
  readonly url: string;
  readonly port: number;
  readonly control: SimulatorControl;
  /** Ends it and removes what is temporary. Stopping twice is fine. */
  stop(): Promise<void>;
}

/** Starts one and resolves when it listens. Rejects when the port or the folder cannot be had. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'comfyui-simulator-')));
  const simulator = new RunningSimulator(options, dataDir);
  await simulator.start();
  return simulator;
}

class RunningSimulator implements Simulator {
  port: number;
  readonly control: SimulatorControl;
  private readonly given: SimulatorOptions;
  private readonly faults: Faults;
  private readonly classes: Map<string, NodeClass>;
  private readonly setting: LifeSetting & { options: ReturnType<typeof resolveOptions> };
  private life: ServerLife | undefined;
  private server: SimulatedServer | undefined;
  private frozen: { until: Promise<void>; thaw: () => void } | undefined;
  private comeback: Timer | undefined;
  private readonly stopping = new AbortController();

  constructor(given: SimulatorOptions, dataDir: string) {
    this.given = given;
    const options = resolveOptions(given);
    this.port = options.port;
    this.faults = noFaults();
    this.classes = nodeClasses(options);
    this.setting = {
      options,
      classes: this.classes,
      clock: given.clock ?? systemClock,
      files: new Files(dataDir),
      faults: this.faults,
      log: new RunLog(given.logFile),
      random: randomFrom(options.seed),
      onCrash: (reason) => void this.down(reason),
      thawed: () => this.frozen?.until,
    };
    this.control = this.makeControl();
    this.setFaults(given.faults ?? {});
  }

  get url(): string {
    return `http://${this.setting.options.host}:${this.port}`;
  }

  /** Resolves when it listens, or has been stopped. */
  async start(): Promise<void> {
    const { clock, options } = this.setting;
    if (options.bootMs > 0) await pause(clock, options.bootMs, this.stopping.signal);
    if (!this.stopping.signal.aborted) await this.boot();
  }

  private async boot(): Promise<void> {
    await this.setting.files.prepare();
    this.life = new ServerLife(this.setting);
    this.server = new SimulatedServer(this.life, this.setting, (exchange, body) =>
      controlRoute(exchange, body, this.control),
    );
    this.port = await this.server.listen(this.port, this.setting.options.host);
    void this.life.work();
  }

  private makeControl(): SimulatorControl {
    const { faults, setting } = this;
    return {
      get faults() {
        return faults;
      },
      setFaults: (change) => this.setFaults(change),
      clearFaults: () => this.setFaults(noFaults()),
      adjust: (options) => this.adjust(options),
      executions: () => setting.log.executions,
      prompts: () => setting.log.prompts,
      socketCount: () => this.life?.sockets.count() ?? 0,
      hangUp: () => this.life?.sockets.cutAll(),
      alive: () => this.life !== undefined && !this.life.isDead(),
      freeze: () => this.setFaults({ frozen: true }),
      thaw: () => this.setFaults({ frozen: false }),
      crash: (reason = 'asked for') => this.crash(reason),
      restart: () => this.restart(),
    };
  }

  private setFaults(change: Partial<Faults>): void {
    Object.assign(this.faults, change);
    if (this.faults.frozen && !this.frozen) {
      let thaw: () => void = () => undefined;
      const until = new Promise<void>((resolve) => {
        thaw = resolve;
      });
      this.frozen = { until, thaw };
    } else if (!this.faults.frozen) {
      this.frozen?.thaw();
      this.frozen = undefined;
    }
  }

  private adjust(change: AdjustableOptions): void {
    const { models, removeNodeClasses, ...rest } = change;
    Object.assign(this.setting.options, rest);
    if (models)
      Object.assign(this.setting.options, { models: { ...this.setting.options.models, ...models } });
    for (const name of removeNodeClasses ?? []) this.classes.delete(name);
  }

  private async crash(reason: string): Promise<void> {
    this.life?.kill();
    await this.down(reason);
  }

  /** The port closes; a comeback is arranged when the faults say so. */
  private async down(reason: string): Promise<void> {
    const { server } = this;
    this.server = undefined;
    await server?.close();
    if (this.stopping.signal.aborted) return;
    this.given.onCrash?.(reason);
    const { restartAfterMs } = this.faults;
    if (restartAfterMs === null) return;
    this.comeback?.cancel();
    this.comeback = this.setting.clock.after(restartAfterMs, () => {
      this.comeback = undefined;
      void this.restart();
    });
  }

  private async restart(): Promise<void> {
    this.comeback?.cancel();
    this.comeback = undefined;
    this.life?.kill();
    const { server } = this;
    this.server = undefined;
    await server?.close();
    // What killed it once must not kill it again at once; the rest stays as it was set.
    this.setFaults({
      crashAtProgress: null,
      crashAtNode: null,
      crashOnPrompt: false,
      frozen: false,
      workerDead: false,
      stickyError: null,
      restartAfterMs: null,
    });
    await this.start();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.comeback?.cancel();
    this.life?.kill();
    const { server } = this;
    this.server = undefined;
    await server?.close();
    if (this.given.dataDir === undefined) {
      // A node may still be writing its file.
      await rm(this.setting.files.root, { recursive: true, force: true, maxRetries: 3, retryDelay: 20 });
    } else await this.setting.files.clearTemp();
  }
}
