/**
 * A prompt may be taken in part: output nodes that the instance finds wrong are dropped, and the answer to the POST says
 * so. Where that answer was lost, with a connection or with the process that waited for it, history tells which were run.
 */
import type { HistoryEntry } from '../../comfyui/history.ts';
import { type Fault, fault } from '../../domain/fault.ts';
import type { Graph } from '../../domain/graph.ts';
import type { ActiveRun } from './active-run.ts';

const ASK_DEADLINE_MS = 10_000;

/** What is wrong with a run that succeeded in less than was asked for; null when nothing is. */
export async function refusedPart(run: ActiveRun, { asked }: HistoryEntry): Promise<Fault | null> {
  if (run.takenWhole || asked === null) return null;
  const { graph, member } = run.subject;
  for (const nodeId of leavesOf(graph)) {
    const nodeType = graph[nodeId]?.class_type ?? '';
    if (asked.includes(nodeId)) continue;
    // what nobody takes from and is no output node is left aside without harm
    const isOutput = await member.http.isOutputNode(nodeType, {
      deadlineMs: ASK_DEADLINE_MS,
      signal: run.signal,
    });
    if (isOutput.ok && isOutput.value) return fault('NODE_ERRORS', null, { nodeId, nodeType });
  }
  return null;
}

/** Nodes that no other node takes anything from. */
function leavesOf(graph: Graph): string[] {
  const taken = new Set(
    Object.values(graph).flatMap(({ inputs }) =>
      Object.values(inputs).flatMap((input) => (Array.isArray(input) ? [String(input[0])] : [])),
    ),
  );
  return Object.keys(graph).filter((nodeId) => !taken.has(nodeId));
}
