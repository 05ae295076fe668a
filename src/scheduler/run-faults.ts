/** What ComfyUI's refusals and errors become for the user: a code of the table and one clean line. Pure. */
import type { PromptEnd } from '../comfyui/history.ts';
import type { NodeErrors, PromptReply } from '../comfyui/prompt-reply.ts';
import { type Fault, type FaultCode, fault } from '../domain/fault.ts';
import type { Graph } from '../domain/graph.ts';

const LONGEST_LINE = 300;
/** After each of these the process holds a broken graphics context: every job on it fails until a restart. */
const GPU_FAULT =
  /\b(CUDA|HIP|cuDNN|NCCL) error\b|device-side assert|illegal memory access|\b(CUBLAS|CUDNN|HIPBLAS|ROCBLAS|CUSOLVER|CUFFT)_STATUS_|unspecified launch failure|GPU has fallen off the bus/i;
const DISK_FULL =
  /no space left on device|\bENOSPC\b|\berrno 28\b|not enough space on the disk|disk (is )?full|disk quota exceeded/i;
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
  const code = codeOf(error);
  return fault(code, code === 'NODE_FAILED' ? line : null, node);
}

/** The general message of the others is all that a client needs; memory first, as its texts name CUDA too. */
function codeOf({ exceptionType, message }: NodeFailure): FaultCode {
  const says = (pattern: RegExp): boolean => pattern.test(exceptionType) || pattern.test(message);
  if (says(OUT_OF_MEMORY)) return 'OUT_OF_MEMORY';
  if (says(DISK_FULL)) return 'INSTANCE_DISK_FULL';
  return says(GPU_FAULT) ? 'GPU_FAULT' : 'NODE_FAILED';
}

function nodeLine(node: NodeErrors): string {
  const [error] = node.errors;
  const what = error ? [error.message, error.details].filter(Boolean).join(': ') : 'is invalid';
  return node.nodeType ? `${node.nodeType}: ${what}` : what;
}

function nodeOf(node: NodeErrors): { nodeId: string; nodeType: string | null } {
  return { nodeId: node.nodeId, nodeType: node.nodeType };
}

/** A path of two parts or more, of a POSIX or Windows machine; a quoted one may hold blanks. */
const QUOTED_PATH = /(['"])((?:[A-Za-z]:|~)?[^'"\n]*[\\/][^'"\n]*[\\/][^'"\n]*)\1/g;
const BARE_PATH = /(?:[A-Za-z]:|~)?(?:[\\/][^\s\\/'":,)\]]+){2,}[\\/]?/g;
const TRACEBACK = /^Traceback \(most recent call last\)/;

/** One line, shortened: the first, or of a traceback the last; paths of the instance keep their last part only. */
export function cleanLine(text: string): string {
  const lines = text.trim().split(/\r?\n/);
  const line = TRACEBACK.test(lines[0] ?? '') ? (lines.at(-1) ?? '') : (lines[0] ?? '');
  return line
    .replace(QUOTED_PATH, (_, quote: string, path: string) => `${quote}${lastPart(path)}${quote}`)
    .replace(BARE_PATH, lastPart)
    .slice(0, LONGEST_LINE)
    .trim();
}

function lastPart(path: string): string {
  return path.split(/[\\/]/).findLast((part) => part !== '') ?? '';
}
