/**
 * Runs one prompt node by node. The order of messages, cache writes and interrupt checks is that of ComfyUI 0.3.64,
 * so change it only against a recording.
 */
import type { NodeCache } from './cache.ts';
import { FailedNode } from './failure-report.ts';
import { isLink, ReadyList, RunningGraph } from './graph.ts';
import {
  ExecutionBlocker,
  InterruptedRun,
  type NodeCall,
  type NodeClass,
  type NodeResult,
} from './node-class.ts';
import { ProgressRegistry } from './progress.ts';
import type { HistoryResult, QueueItem } from './prompt-queue.ts';
import { PythonError } from './python-error.ts';
import { isObject, type Json, type JsonObject } from './python-json.ts';
import { type ReportHost, RunReport } from './run-report.ts';

/** What a run needs from the server around it. */
export interface RunHost extends ReportHost {
  readonly classes: ReadonlyMap<string, NodeClass>;
  readonly cache: NodeCache;
  setLastNode(id: string | null): void;
  /** Throws InterruptedRun, once, when the interrupt flag is up. */
  checkInterrupt(): void;
  /** What happens before a class runs: node time, and faults (which may throw). */
  beforeNode(nodeClass: NodeClass): Promise<void>;
  call(run: Execution, nodeId: string, nodeClass: NodeClass, inputs: Record<string, unknown>): NodeCall;
}

type Outcome = 'done' | 'pending';
type Slots = readonly (readonly unknown[])[];

export class Execution {
  readonly item: QueueItem;
  readonly graph: RunningGraph;
  readonly progress: ProgressRegistry;
  private readonly host: RunHost;
  private readonly report: RunReport;
  private readonly coroutines = new Map<string, { result?: NodeResult; error?: unknown }>();
  private readonly expansions = new Map<string, readonly Json[]>();
  private readonly list: ReadyList;
  private success = true;

  constructor(item: QueueItem, host: RunHost) {
    this.item = item;
    this.host = host;
    this.graph = new RunningGraph(item.prompt);
    this.report = new RunReport(item, this.graph, host);
    this.progress = new ProgressRegistry(item.promptId, this.graph, (data) =>
      host.send('progress_state', data, host.clientId),
    );
    const cached = (id: string): boolean => host.cache.outputs(id) !== undefined;
    this.list = new ReadyList(this.graph, cached, (name) => host.classes.get(name));
  }

  /** Runs to the end. Throws NodeNotFound where ComfyUI's worker thread dies. */
  async run(): Promise<HistoryResult> {
    const { item, host } = this;
    this.report.message('execution_start', { prompt_id: item.promptId }, false);
    host.cache.begin(this.graph.nodes, await this.changes());
    const cached = [...this.graph.nodes.keys()].filter((id) => host.cache.outputs(id) !== undefined);
    this.report.message('execution_cached', { nodes: cached, prompt_id: item.promptId }, false);
    for (const id of item.outputs) this.list.add(id);
    if (await this.runNodes()) this.report.message('execution_success', { prompt_id: item.promptId }, false);
    host.setLastNode(null);
    return this.result();
  }

  /** IS_CHANGED of every node; ComfyUI writes it into the node, from where it gets into PNG texts. */
  private async changes(): Promise<Map<string, Json>> {
    const changed = new Map<string, Json>();
    for (const [id, node] of this.graph.nodes) {
      const nodeClass = this.host.classes.get(this.graph.classOf(id));
      if (!nodeClass?.changed) continue;
      const call = this.host.call(this, id, nodeClass, {});
      // What raises here counts as changed: NaN in ComfyUI, which equals nothing.
      const value = await Promise.resolve(nodeClass.changed(this.graph.inputs(id), call)).catch(() =>
        call.random(),
      );
      node.is_changed = [value];
      changed.set(id, value);
    }
    return changed;
  }

  /** The submitted graph with what `changes` added: this is what saved files carry. */
  promptForFiles(): JsonObject {
    return Object.fromEntries(Object.keys(this.item.prompt).map((id) => [id, this.graph.node(id)]));
  }

  /** True when every node ran; false after an error or an interrupt. */
  private async runNodes(): Promise<boolean> {
    while (!this.list.isEmpty()) {
      const next = await this.list.next();
      if ('cycle' in next) {
        // `success` stays true: history will say success (observed)
        this.report.cycle(next.cycle);
        return false;
      }
      try {
        if ((await this.runNode(next.id)) === 'done') this.list.done(next.id);
      } catch (error) {
        this.success = false;
        this.report.failure(next.id, error);
        return false;
      }
    }
    return true;
  }

  private async runNode(id: string): Promise<Outcome> {
    const { host, graph } = this;
    const nodeClass = host.classes.get(graph.classOf(id));
    if (!nodeClass) throw new PythonError('KeyError', `'${graph.classOf(id)}'`);
    if (host.cache.outputs(id)) {
      const output = host.cache.ui(id)?.output ?? null;
      this.report.output(id, output);
      this.progress.finish(id);
      return 'done';
    }
    const ended = this.coroutines.get(id);
    const expanded = this.expansions.get(id);
    let result: NodeResult;
    if (ended) {
      this.coroutines.delete(id);
      if (ended.error !== undefined) throw ended.error;
      result = ended.result ?? {};
    } else if (expanded) {
      this.finish(id, this.resolveExpansion(expanded));
      return 'done';
    } else {
      const started = await this.startNode(id, nodeClass);
      if (started === 'pending') return 'pending';
      result = started;
    }
    return this.accept(id, result);
  }

  private async startNode(id: string, nodeClass: NodeClass): Promise<NodeResult | 'pending'> {
    const { host } = this;
    this.progress.start(id);
    const inputs = this.collectInputs(id, nodeClass);
    if (host.clientId !== null) {
      const display = this.graph.displayId(id);
      host.setLastNode(display);
      host.send(
        'executing',
        { node: id, display_node: display, prompt_id: this.item.promptId },
        host.clientId,
      );
    }
    const blocker = Object.values(inputs).find((value) => value instanceof ExecutionBlocker);
    if (blocker instanceof ExecutionBlocker) return this.passBlocker(id, blocker, nodeClass);
    try {
      host.checkInterrupt();
      await host.beforeNode(nodeClass);
      const running = nodeClass.run(host.call(this, id, nodeClass, inputs));
      if (!nodeClass.isAsync) return await running;
      this.startCoroutine(id, Promise.resolve(running));
      return 'pending';
    } catch (error) {
      throw error instanceof InterruptedRun ? error : new FailedNode(error, inputs);
    }
  }

  private startCoroutine(id: string, running: Promise<NodeResult>): void {
    const unblock = this.list.block(id);
    running.then(
      (result) => {
        this.coroutines.set(id, { result });
        unblock();
      },
      (error: unknown) => {
        this.coroutines.set(id, { error });
        unblock();
      },
    );
  }

  private collectInputs(id: string, nodeClass: NodeClass): Record<string, unknown> {
    const inputs: Record<string, unknown> = {};
    const declared = { ...nodeClass.required, ...nodeClass.optional };
    for (const [name, value] of Object.entries(this.graph.inputs(id))) {
      if (!(name in declared)) continue;
      inputs[name] = isLink(value) ? this.host.cache.outputs(value[0])?.[value[1]]?.[0] : value;
    }
    return inputs;
  }

  private passBlocker(id: string, blocker: ExecutionBlocker, nodeClass: NodeClass): NodeResult {
    if (blocker.message !== null) this.report.blocked(id, nodeClass.name, blocker.message);
    return { outputs: nodeClass.outputs.map(() => new ExecutionBlocker(null)) };
  }

  private accept(id: string, result: NodeResult): Outcome {
    if (result.ui && Object.keys(result.ui).length > 0) {
      const meta = {
        node_id: id,
        display_node: this.graph.displayId(id),
        parent_node: this.graph.parentId(id),
        real_node_id: this.graph.realId(id),
      };
      this.host.cache.setUi(id, { meta, output: result.ui });
      this.report.output(id, result.ui);
    }
    if (result.expand) {
      this.expand(id, result.expand.graph, result.expand.result);
      return 'pending';
    }
    this.finish(
      id,
      (result.outputs ?? []).map((value) => [value]),
    );
    return 'done';
  }

  private expand(id: string, made: JsonObject, result: readonly Json[]): void {
    const added: string[] = [];
    for (const [madeId, node] of Object.entries(made)) {
      if (!isObject(node)) continue;
      this.graph.add(madeId, node, id);
      added.push(madeId);
    }
    this.host.cache.extend(this.graph.nodes, added, id);
    for (const madeId of added) {
      if (this.host.classes.get(this.graph.classOf(madeId))?.isOutput) this.list.add(madeId);
    }
    for (const value of result) if (isLink(value)) this.list.link(value[0], id);
    this.expansions.set(id, result);
  }

  private resolveExpansion(result: readonly Json[]): Slots {
    return result.map((value) =>
      isLink(value) ? [this.host.cache.outputs(value[0])?.[value[1]]?.[0]] : [value],
    );
  }

  private finish(id: string, outputs: Slots): void {
    this.host.cache.setOutputs(id, outputs);
    this.progress.finish(id);
    this.report.ran(id);
  }

  private result(): HistoryResult {
    const outputs: Record<string, unknown> = {};
    const meta: Record<string, unknown> = {};
    for (const id of this.graph.nodes.keys()) {
      const ui = this.host.cache.ui(id);
      if (!ui) continue;
      outputs[id] = ui.output;
      meta[id] = ui.meta;
    }
    return { outputs, meta, success: this.success, messages: this.report.messages };
  }
}
