/** What a run says: messages to the owner of the prompt, most of them kept for history too. */
import { FailedNode, failureDetails, OUT_OF_MEMORY } from './failure-report.ts';
import type { RunningGraph } from './graph.ts';
import { InterruptedRun } from './node-class.ts';
import type { QueueItem } from './prompt-queue.ts';

/** What a report needs of the server around the run. */
export interface ReportHost {
  readonly clientId: string | null;
  now(): number;
  /** `to` null is everybody. */
  send(type: string, data: unknown, to: string | null): void;
  unloadModels(): void;
}

export class RunReport {
  /** For history, in order. */
  readonly messages: (readonly [string, unknown])[] = [];
  private readonly item: QueueItem;
  private readonly graph: RunningGraph;
  private readonly host: ReportHost;
  private readonly executed = new Set<string>();

  constructor(item: QueueItem, graph: RunningGraph, host: ReportHost) {
    this.item = item;
    this.graph = graph;
    this.host = host;
  }

  /** Without an owner it is sent to everybody when `broadcast` says so, else to nobody. */
  message(type: string, data: Record<string, unknown>, broadcast: boolean): void {
    const stamped = { ...data, timestamp: this.host.now() };
    this.messages.push([type, stamped]);
    if (this.host.clientId !== null || broadcast) this.host.send(type, stamped, this.host.clientId);
  }

  /** The node has run, or its results came from nodes it made. */
  ran(id: string): void {
    this.executed.add(id);
  }

  /** A node's ui output; to the owner only, and not in history's messages. */
  output(id: string, output: unknown): void {
    if (this.host.clientId === null) return;
    const data = { node: id, display_node: this.graph.displayId(id), output, prompt_id: this.item.promptId };
    this.host.send('executed', data, this.host.clientId);
  }

  /** A blocker with a message is reported to the client only; the run goes on and history does not know. */
  blocked(id: string, nodeType: string, message: string): void {
    const data = {
      prompt_id: this.item.promptId,
      node_id: id,
      node_type: nodeType,
      executed: [...this.executed],
      exception_message: `Execution Blocked: ${message}`,
      exception_type: 'ExecutionBlocked',
      traceback: [],
      current_inputs: [],
      current_outputs: [],
    };
    this.host.send('execution_error', data, this.host.clientId);
  }

  cycle(cycle: readonly string[]): void {
    const made = cycle.find((id) => this.graph.displayId(id) !== id);
    const blamed = made === undefined ? (cycle[0] ?? '') : this.graph.displayId(made);
    const details = {
      exception_message: 'Dependency cycle detected',
      exception_type: 'graph.DependencyCycleError',
      traceback: [],
    };
    this.error(blamed, { ...details, current_inputs: [] }, Object.keys(this.item.prompt));
  }

  failure(id: string, thrown: unknown): void {
    const realId = this.graph.realId(id);
    const error = thrown instanceof FailedNode ? thrown.error : thrown;
    if (error instanceof InterruptedRun) {
      const data = { prompt_id: this.item.promptId, node_id: realId, node_type: this.graph.classOf(realId) };
      this.message('execution_interrupted', { ...data, executed: [...this.executed] }, true);
      return;
    }
    const details = failureDetails(error, thrown instanceof FailedNode ? thrown.inputs : {});
    if (details.exception_type === OUT_OF_MEMORY) this.host.unloadModels();
    this.error(realId, details, [...this.graph.nodes.keys()]);
  }

  private error(nodeId: string, details: Record<string, unknown>, currentOutputs: readonly string[]): void {
    const data = { prompt_id: this.item.promptId, node_id: nodeId, node_type: this.graph.classOf(nodeId) };
    this.message(
      'execution_error',
      { ...data, executed: [...this.executed], ...details, current_outputs: currentOutputs },
      false,
    );
  }
}
