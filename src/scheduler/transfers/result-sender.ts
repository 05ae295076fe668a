/** Nodes that send their result over the WebSocket instead of saving it: SaveImageWebsocket and custom ones like it. */
import type { Graph } from '../../domain/graph.ts';

export function sendsResult(nodeType: string): boolean {
  return /websocket/i.test(nodeType);
}

/** The first such node of a graph; null when every result is a file or a text in history. */
export function resultSender(graph: Graph): { readonly nodeId: string; readonly nodeType: string } | null {
  const found = Object.entries(graph).find(([, node]) => sendsResult(node.class_type));
  return found ? { nodeId: found[0], nodeType: found[1].class_type } : null;
}
