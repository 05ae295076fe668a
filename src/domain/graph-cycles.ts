/** Circles in a graph: ComfyUI refuses them, up to 0.19 without naming a node. */
import type { Graph, GraphNode } from './graph.ts';

/** A link that closes a circle. */
export interface ClosingLink {
  readonly nodeId: string;
  readonly input: string;
  readonly targetId: string;
}

interface Visit {
  readonly id: string;
  readonly links: readonly ClosingLink[];
  next: number;
}

/** One closing link per circle met in a depth-first walk; none means that the graph can be run. Links must lead to nodes. */
export function findCycles(graph: Graph): ClosingLink[] {
  const done = new Set<string>();
  const closing: ClosingLink[] = [];
  for (const start of Object.keys(graph)) {
    if (!done.has(start)) walk(graph, start, done, closing);
  }
  return closing;
}

/** With a stack of its own: a chain of thousands of nodes must not exhaust the program's. */
function walk(graph: Graph, start: string, done: Set<string>, closing: ClosingLink[]): void {
  const open = new Set([start]);
  const stack: Visit[] = [visit(graph, start)];
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const link = top.links[top.next++];
    if (!link) {
      stack.pop();
      open.delete(top.id);
      done.add(top.id);
    } else if (open.has(link.targetId)) {
      closing.push(link);
    } else if (!done.has(link.targetId)) {
      open.add(link.targetId);
      stack.push(visit(graph, link.targetId));
    }
  }
}

function visit(graph: Graph, id: string): Visit {
  return { id, links: linksOf(id, graph[id]), next: 0 };
}

function linksOf(nodeId: string, node: GraphNode | undefined): ClosingLink[] {
  return Object.entries(node?.inputs ?? {}).flatMap(([input, value]) =>
    Array.isArray(value) && typeof value[0] === 'string' ? [{ nodeId, input, targetId: value[0] }] : [],
  );
}
