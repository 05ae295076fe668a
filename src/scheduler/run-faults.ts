/** What ComfyUI's refusals and errors become for the user: a code of the table and one clean line. Pure. */
import type { PromptEnd } from '../comfyui/history.ts';
import type { NodeErrors, PromptReply } from '../comfyui/prompt-reply.ts';
import { type Fault, fault } from '../domain/fault.ts';
import type { Graph } from '../domain/graph.ts';

const LONGEST_LINE = 300;
const OUT_OF_MEMORY =
  /out.?of.?memory|not enough (gpu |video )?memory|allocation on device|CUBLAS_STATUS_ALLOC_FAILED/i;

/** POST /prompt was answered with a refusal. */
export function faultOfRejection(reply: Extract<PromptReply, { kind: 'rejected' }>): Fault {
  const [first] = reply.nodeErrors;
  const line = first
    ? nodeLine(first)
    : [reply.error.message, reply.error.details].filter(Boolean).join(': ');
  return fault('PROMPT_REJECTED', cleanLine(line), first ? nodeOf(first) : null);
}

/** The prompt was accepted, but outputs of it were dropped as invalid. */
export function faultOfNodeErrors(nodeErrors: readonly NodeErrors[]): Fault {
  const [first] = nodeErrors;
  return first ? fault('NODE_ERRORS', cleanLine(nodeLine(first)), nodeOf(first)) : fault('NODE_ERRORS');
}

/** A run that ended as history says; null when it succeeded. `graph` names the type where the message does not. */
export function faultOfEnd(end: PromptEnd, graph: Graph): Fault | null {
  switch (end.kind) {
    case 'succeeded':
      return null;
    case 'interrupted':
      return fault('INTERRUPTED');
    case 'unknown':
      return fault('NODE_FAILED', 'the run ended without saying how');
    case 'failed':
      return faultOfError(end, graph);
  }
}

export interface NodeFailure {
  readonly nodeId: string | null;
  readonly nodeType: string | null;
  readonly exceptionType: string;
  readonly message: string;
}

/** A node raised an exception. */
export function faultOfError(error: NodeFailure, graph: Graph): Fault {
  const nodeType =
    error.nodeType ?? (error.nodeId === null ? null : (graph[error.nodeId]?.class_type ?? null));
  const node = error.nodeId === null ? null : { nodeId: error.nodeId, nodeType };
  const line = cleanLine(error.message);
  if (error.exceptionType.endsWith('ExecutionBlocked')) return fault('OUTPUT_BLOCKED', line, node);
  if (OUT_OF_MEMORY.test(error.exceptionType) || OUT_OF_MEMORY.test(error.message)) {
    return fault('OUT_OF_MEMORY', null, node);
  }
  return fault('NODE_FAILED', line, node);
}

function nodeLine(node: NodeErrors): string {
  const [error] = node.errors;
  const what = error ? [error.message, error.details].filter(Boolean).join(': ') : 'is invalid';
  return node.nodeType ? `${node.nodeType}: ${what}` : what;
}

function nodeOf(node: NodeErrors): { nodeId: string; nodeType: string | null } {
  return { nodeId: node.nodeId, nodeType: node.nodeType };
}

/** The first line, shortened; paths of the instance keep their last part only. */
export function cleanLine(text: string): string {
  const line = text.trim().split(/\r?\n/, 1)[0] ?? '';
  return line
    .replace(/(?:[A-Za-z]:)?(?:[\\/][^\s\\/'":,)\]]+){2,}/g, (path) => path.split(/[\\/]/).at(-1) ?? '')
    .slice(0, LONGEST_LINE);
}
