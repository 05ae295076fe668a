/**
 * Which nodes of a graph run: those that a node with a result for the user takes from, near or far. ComfyUI runs and checks
 * no others, so what they name is not needed; it only wants to know their types.
 */
import type { Graph, GraphNode } from './graph.ts';

/** @param endsGraph whether nodes of the type have results for the user. */
export function liveNodes(graph: Graph, endsGraph: (nodeType: string) => boolean): GraphNode[] {
  const live = new Set(Object.keys(graph).filter((id) => endsGraph(graph[id]?.class_type ?? '')));
  // grows while it is gone through
  for (const id of live) {
    for (const value of Object.values(graph[id]?.inputs ?? {})) {
      const source = Array.isArray(value) ? value[0] : undefined;
      if (typeof source === 'string' && Object.hasOwn(graph, source)) live.add(source);
    }
  }
  return [...live].flatMap((id) => graph[id] ?? []);
}
