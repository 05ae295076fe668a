/** The prompt while it runs: submitted nodes, nodes made at run time, and which of them is ready next. */
import type { NodeClass } from './node-class.ts';
import { isObject, type Json, type JsonObject } from './python-json.ts';

/** A link is a two-element list of node id and slot number. */
export function isLink(value: Json | undefined): value is [string, number] {
  return (
    Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && typeof value[1] === 'number'
  );
}

/** An undeclared input links to a node that does not exist: kills ComfyUI's worker thread. */
export class NodeNotFound extends Error {}

interface Made {
  readonly parent: string;
  readonly display: string;
}

export class RunningGraph {
  readonly nodes = new Map<string, JsonObject>();
  private readonly made = new Map<string, Made>();

  constructor(prompt: JsonObject) {
    for (const [id, node] of Object.entries(prompt)) if (isObject(node)) this.nodes.set(id, { ...node });
  }
  node(id: string): JsonObject {
    const node = this.nodes.get(id);
    if (!node) throw new NodeNotFound(`Node ${id} not found`);
    return node;
  }
  inputs(id: string): JsonObject {
    const inputs = this.node(id).inputs;
    return isObject(inputs) ? inputs : {};
  }
  classOf(id: string): string {
    return String(this.node(id).class_type);
  }
  add(id: string, node: JsonObject, parent: string): void {
    this.nodes.set(id, node);
    const display = node.override_display_id;
    this.made.set(id, { parent, display: this.displayId(typeof display === 'string' ? display : parent) });
  }
  displayId(id: string): string {
    return this.made.get(id)?.display ?? id;
  }
  parentId(id: string): string | null {
    return this.made.get(id)?.parent ?? null;
  }
  realId(id: string): string {
    let real = id;
    for (let made = this.made.get(real); made; made = this.made.get(real)) real = made.parent;
    return real;
  }
}

/** Which nodes wait for which, and the one to run next; follows ComfyUI's ExecutionList in every choice. */
export class ReadyList {
  private readonly pending = new Set<string>();
  private readonly blockers = new Map<string, number>();
  private readonly blocking = new Map<string, Set<string>>();
  private externalBlocks = 0;
  private unblocked: (() => void) | undefined;
  private readonly graph: RunningGraph;
  private readonly cached: (id: string) => boolean;
  private readonly classOf: (name: string) => NodeClass | undefined;

  constructor(
    graph: RunningGraph,
    cached: (id: string) => boolean,
    classOf: (name: string) => NodeClass | undefined,
  ) {
    this.graph = graph;
    this.cached = cached;
    this.classOf = classOf;
  }

  isEmpty(): boolean {
    return this.pending.size === 0;
  }

  /** Adds a node and all it needs that is not cached. Throws NodeNotFound for a dangling link. */
  add(nodeId: string): void {
    const todo = [nodeId];
    const links: [string, string][] = [];
    for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
      if (this.pending.has(id)) continue;
      this.pending.add(id);
      this.blockers.set(id, 0);
      this.blocking.set(id, new Set());
      for (const value of Object.values(this.graph.inputs(id))) {
        if (!isLink(value)) continue;
        if (!this.cached(value[0])) todo.push(value[0]);
        links.push([value[0], id]);
      }
    }
    for (const [from, to] of links) this.link(from, to);
  }

  /** `to` waits for `from`, unless that is cached. */
  link(from: string, to: string): void {
    if (this.cached(from)) return;
    this.add(from);
    const waiting = this.blocking.get(from);
    if (!waiting || waiting.has(to)) return;
    waiting.add(to);
    this.blockers.set(to, (this.blockers.get(to) ?? 0) + 1);
  }

  /** Holds a node back until the returned function is called (its coroutine has ended). */
  block(id: string): () => void {
    this.externalBlocks += 1;
    this.blockers.set(id, (this.blockers.get(id) ?? 0) + 1);
    return () => {
      this.externalBlocks -= 1;
      this.blockers.set(id, (this.blockers.get(id) ?? 1) - 1);
      this.unblocked?.();
      this.unblocked = undefined;
    };
  }

  /** The node to run now, or the ids of a cycle when nothing can ever be ready. */
  async next(): Promise<{ id: string } | { cycle: string[] }> {
    for (;;) {
      const ready = [...this.pending].filter((id) => this.blockers.get(id) === 0);
      if (ready.length > 0) return { id: this.pick(ready) };
      if (this.externalBlocks === 0) return { cycle: this.cycle() };
      await new Promise<void>((resolve) => {
        this.unblocked = resolve;
      });
    }
  }

  done(id: string): void {
    this.pending.delete(id);
    for (const waiting of this.blocking.get(id) ?? [])
      this.blockers.set(waiting, (this.blockers.get(waiting) ?? 1) - 1);
    this.blocking.delete(id);
  }

  /** Outputs and coroutines first, then what an output waits for, then what is two steps away from one. */
  private pick(ready: readonly string[]): string {
    const isOutput = (id: string): boolean => this.classOf(this.graph.classOf(id))?.isOutput === true;
    const isAsync = (id: string): boolean => this.classOf(this.graph.classOf(id))?.isAsync === true;
    const waiting = (id: string): string[] => [...(this.blocking.get(id) ?? [])];
    const chosen =
      ready.find((id) => isOutput(id) || isAsync(id)) ??
      ready.find((id) => waiting(id).some(isOutput)) ??
      ready.find((id) => waiting(id).some((next) => waiting(next).some(isOutput)));
    return chosen ?? (ready[0] as string);
  }

  private cycle(): string[] {
    const blockedBy = new Map([...this.pending].map((id) => [id, new Set<string>()]));
    for (const [from, waiting] of this.blocking) for (const to of waiting) blockedBy.get(to)?.add(from);
    for (;;) {
      const free = [...blockedBy].filter(([, by]) => by.size === 0).map(([id]) => id);
      if (free.length === 0) return [...blockedBy.keys()];
      for (const id of free) {
        blockedBy.delete(id);
        for (const by of blockedBy.values()) by.delete(id);
      }
    }
  }
}
