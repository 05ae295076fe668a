/** The progress registry of one prompt and the progress_state messages made from it. */
import type { RunningGraph } from './graph.ts';

interface NodeState {
  value: number;
  max: number;
  state: 'running' | 'finished';
  readonly node_id: string;
  readonly prompt_id: string;
  readonly display_node_id: string;
  readonly parent_node_id: string | null;
  readonly real_node_id: string;
}

export class ProgressRegistry {
  private readonly nodes: Record<string, NodeState> = {};
  private readonly order = new Map<string, NodeState>();
  private readonly promptId: string;
  private readonly graph: RunningGraph;
  private readonly announce: (data: unknown) => void;

  constructor(promptId: string, graph: RunningGraph, announce: (data: unknown) => void) {
    this.promptId = promptId;
    this.graph = graph;
    this.announce = announce;
  }

  private entry(id: string): NodeState {
    let entry = this.order.get(id);
    if (!entry) {
      entry = {
        value: 0,
        max: 1,
        state: 'running',
        node_id: id,
        prompt_id: this.promptId,
        display_node_id: this.graph.displayId(id),
        parent_node_id: this.graph.parentId(id),
        real_node_id: this.graph.realId(id),
      };
      this.order.set(id, entry);
      this.nodes[id] = entry;
    }
    return entry;
  }

  start(id: string): void {
    const entry = this.entry(id);
    entry.value = 0;
    entry.max = 1;
    entry.state = 'running';
    this.send();
  }
  update(id: string, value: number, max: number): void {
    const entry = this.entry(id);
    entry.value = value;
    entry.max = max;
    entry.state = 'running';
    this.send();
  }
  finish(id: string): void {
    const entry = this.entry(id);
    entry.value = entry.max;
    entry.state = 'finished';
    this.send();
  }
  private send(): void {
    this.announce({ prompt_id: this.promptId, nodes: this.nodes });
  }
}
