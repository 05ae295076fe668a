/**
 * One life of the simulated process: queue, history, cache, sockets and the worker. A restart makes a new one; what
 * survives is on disk. Everything that is async here ends, when the process dies, by never coming back.
 */
import { randomUUID } from 'node:crypto';
import type { Timer } from '../lib/clock.ts';
import { NodeCache } from './cache.ts';
import { Execution, type RunHost } from './execution.ts';
import { historyDelay } from './faults.ts';
import { annotated } from './files.ts';
import { sendFrame, sendFrameWithMetadata, sendText } from './frames.ts';
import { NodeNotFound } from './graph.ts';
import type { LifeSetting } from './life-setting.ts';
import { ModelMemory, outOfMemory } from './model-memory.ts';
import {
  type Frame,
  InterruptedRun,
  type NodeCall,
  type NodeClass,
  type NodeWorld,
  type SavedFile,
} from './node-class.ts';
import { raisedBy } from './node-errors.ts';
import { PromptQueue, type QueueItem, UnorderableItems } from './prompt-queue.ts';
import { PythonError } from './python-error.ts';
import { isObject, type JsonObject } from './python-json.ts';
import type { ExecutionRecord } from './run-log.ts';
import { Sockets } from './sockets.ts';

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

export class ServerLife {
  readonly sockets: Sockets;
  readonly queue: PromptQueue;
  readonly world: NodeWorld;
  /** The counter of POST /prompt. */
  nextNumber = 0;
  clientId: string | null = null;
  lastNodeId: string | null = null;
  private readonly setting: LifeSetting;
  private readonly cache = new NodeCache();
  private readonly memory = new ModelMemory();
  private readonly timers = new Set<Timer>();
  private interruptFlag = false;
  private dead = false;
  private record: ExecutionRecord | undefined;

  constructor(setting: LifeSetting) {
    this.setting = setting;
    this.sockets = new Sockets(() => setting.faults.deafSockets);
    this.queue = new PromptQueue(() => this.sockets.send('status', { status: this.status() }, null));
    this.world = {
      // asked anew each time: files come and go while it runs
      models: (folder) => setting.options.models[folder] ?? [],
      inputFiles: () => setting.files.list('input'),
      inputPath: (name) => {
        const file = annotated(name);
        return setting.files.find(file.type ?? 'input', file.name);
      },
    };
  }

  status(): JsonObject {
    return { exec_info: { queue_remaining: this.queue.remaining() } };
  }
  models(): readonly string[] {
    return this.memory.names();
  }
  isDead(): boolean {
    return this.dead;
  }
  interrupt(): void {
    if (!this.setting.faults.ignoreInterrupts) this.interruptFlag = true;
  }
  makeId(): string {
    return randomUUID();
  }

  /** Ends everything at once: no close frames, no answers, no more effects. */
  kill(): void {
    this.dead = true;
    for (const timer of this.timers) timer.cancel();
    this.timers.clear();
    this.sockets.cutAll();
    if (this.record?.outcome === 'running') {
      this.setting.log.ended(this.record, 'died', this.setting.clock.now());
    }
  }

  crash(reason: string): void {
    if (this.dead) return;
    this.kill();
    this.setting.onCrash(reason);
  }

  /** The worker thread. It ends when the process dies or when something raises outside of a node. */
  async work(): Promise<void> {
    try {
      for (;;) await this.workOnce();
    } catch (error) {
      // ComfyUI has no guard around its worker thread either: it is dead now, HTTP goes on.
      if (
        !(error instanceof NodeNotFound || error instanceof UnorderableItems || error instanceof PythonError)
      )
        throw error;
    }
  }

  private async workOnce(): Promise<void> {
    const change = this.queue.changed();
    if (this.dead || this.setting.faults.workerDead) await never();
    const item = this.queue.take();
    if (item) await this.runPrompt(item);
    const flags = this.queue.takeFlags();
    if (flags.has('unload_models') || flags.has('free_memory')) this.memory.clear();
    if (flags.has('free_memory')) this.cache.reset();
    if (item) return;
    await change;
    // The reply to POST /prompt is written before the run begins.
    await this.breathe();
  }

  private async runPrompt(item: QueueItem): Promise<void> {
    const { clock, options, faults } = this.setting;
    if (options.cache === 'none') this.cache.reset();
    this.interruptFlag = false;
    if (!isObject(item.extraData))
      throw new PythonError('TypeError', "argument of type 'NoneType' is not iterable");
    const owner = item.extraData.client_id;
    this.clientId = typeof owner === 'string' ? owner : null;
    this.record = this.setting.log.started({
      promptId: item.promptId,
      number: item.number,
      clientId: this.clientId,
      startedAt: clock.now(),
      endedAt: null,
      outcome: 'running',
    });
    // An unhashable client id breaks the message loop, and with it the process.
    if (typeof owner === 'object' && owner !== null) return this.dieOf('client_id is not hashable');
    const run = new Execution(item, this.host(this.clientId));
    const result = await run.run();
    const endedAt = clock.now();
    await this.breathe();
    const lateMs = historyDelay(faults, this.setting.random);
    if (lateMs > 0) await this.sleep(lateMs);
    const kinds = result.messages.map(([type]) => type);
    const outcome = kinds.includes('execution_interrupted')
      ? 'interrupted'
      : kinds.includes('execution_error')
        ? 'error'
        : 'success';
    this.setting.log.ended(this.record, outcome, endedAt);
    this.queue.done(item, result);
    if (this.clientId !== null)
      this.sockets.send('executing', { node: null, prompt_id: item.promptId }, this.clientId);
  }

  private async dieOf(reason: string): Promise<never> {
    this.crash(reason);
    return never();
  }

  private host(clientId: string | null): RunHost {
    const { clock, classes } = this.setting;
    return {
      classes,
      cache: this.cache,
      clientId,
      now: () => Math.floor(clock.now()),
      send: (type, data, to) => this.sendOrDie(type, data, to),
      setLastNode: (id) => {
        this.lastNodeId = id;
      },
      checkInterrupt: () => this.checkInterrupt(),
      beforeNode: (nodeClass) => this.beforeNode(nodeClass),
      call: (run, nodeId, nodeClass, inputs) => this.callFor(run, nodeId, nodeClass, inputs),
      unloadModels: () => {
        this.memory.clear();
      },
    };
  }

  /** A ui output that is not JSON raises in the message loop of ComfyUI and ends the process. */
  private sendOrDie(type: string, data: unknown, to: string | null): void {
    try {
      this.sockets.send(type, data, to);
    } catch {
      this.crash('message is not JSON serializable');
    }
  }

  private checkInterrupt(): void {
    if (!this.interruptFlag) return;
    this.interruptFlag = false;
    throw new InterruptedRun();
  }

  private async beforeNode(nodeClass: NodeClass): Promise<void> {
    const { faults, options } = this.setting;
    if (this.dead) await never();
    if (faults.crashAtNode === nodeClass.name) await this.dieOf(`crash at ${nodeClass.name}`);
    const broken = raisedBy(nodeClass, faults);
    if (broken) throw broken;
    if (options.nodeMs > 0) await this.sleep(options.nodeMs);
  }

  private callFor(
    run: Execution,
    nodeId: string,
    nodeClass: NodeClass,
    inputs: Record<string, unknown>,
  ): NodeCall {
    const { options, files, clock, random } = this.setting;
    const extra = isObject(run.item.extraData) ? (run.item.extraData.extra_pnginfo ?? null) : null;
    return {
      ...this.world,
      nodeId,
      inputs,
      prompt: () => run.promptForFiles(),
      extraPngInfo: extra,
      instance: this.cache.instance(nodeId, run.graph.node(nodeId)),
      get stepMs() {
        return options.stepMs;
      },
      previews: options.previewMethod !== 'none',
      random,
      sleep: (ms) => this.sleep(ms),
      progress: (value, max, frame) => this.progress(run, nodeId, value, max, frame),
      sendFrame: (frame) => sendFrame(this.sockets, this.clientId, frame),
      sendText: (text) => sendText(this.sockets, this.clientId, nodeId, text),
      useModel: (name) => this.useModel(name, nodeClass),
      save: (file: SavedFile) => files.save(file, new Date(clock.now())),
    };
  }

  private async progress(
    run: Execution,
    nodeId: string,
    value: number,
    max: number,
    frame?: Frame,
  ): Promise<void> {
    const { faults } = this.setting;
    await this.breathe();
    if (faults.crashAtProgress !== null && value / max >= faults.crashAtProgress)
      await this.dieOf('crash at progress');
    this.checkInterrupt();
    run.progress.update(nodeId, value, max);
    const withMetadata = this.sockets.supports(this.clientId, 'supports_preview_metadata');
    if (frame && withMetadata) sendFrameWithMetadata(this.sockets, this.clientId, run, nodeId, frame);
    this.sockets.send('progress', { value, max, prompt_id: run.item.promptId, node: nodeId }, this.clientId);
    if (frame && !withMetadata) sendFrame(this.sockets, this.clientId, frame);
  }

  /** Loading costs time; a fault may make the memory too small. */
  private async useModel(name: string, nodeClass: NodeClass): Promise<void> {
    const { faults, options } = this.setting;
    if (faults.outOfMemory === 'crash') await this.dieOf('out of memory');
    if (faults.outOfMemory === 'error') throw outOfMemory(nodeClass.name);
    if (this.memory.touch(name, options.residentModels) === 'loaded') await this.sleep(options.modelLoadMs);
  }

  /** Lets sockets and requests have their turn; a frozen or dead process stays here. */
  private async breathe(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    await this.setting.thawed();
    if (this.dead || this.setting.faults.workerDead) await never();
  }

  private async sleep(ms: number): Promise<void> {
    if (ms > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.setting.clock.after(ms, () => {
          this.timers.delete(timer);
          resolve();
        });
        this.timers.add(timer);
      });
    }
    await this.breathe();
  }
}
