/** What ComfyUI's refusals and errors become for the user: a code of the table and one clean line. Pure. */
import type { PromptEnd } from '../../comfyui/history.ts';
import type { NodeErrors, PromptReply } from '../../comfyui/prompt-reply.ts';
import { choosesModel, type Inventory } from '../../domain/capabilities.ts';
import { type Fault, type FaultCode, fault } from '../../domain/fault.ts';
import type { Graph } from '../../domain/graph.ts';
import { placeOf } from '../../domain/model-files.ts';

const LONGEST_LINE = 300;
/** After each of these the process holds a broken graphics context: every job on it fails until a restart. */
const GPU_FAULT =
  /\b(CUDA|HIP|cuDNN|NCCL) error\b|device-side assert|illegal memory access|\b(CUBLAS|CUDNN|HIPBLAS|ROCBLAS|CUSOLVER|CUFFT)_STATUS_|unspecified launch failure|GPU has fallen off the bus/i;
const DISK_FULL =
  /no space left on device|\bENOSPC\b|\berrno 28\b|not enough space on the disk|disk (is )?full|disk quota exceeded/i;
const OUT_OF_MEMORY =
  /out.?of.?memory|not enough (gpu |video )?memory|allocation on device|CUBLAS_STATUS_ALLOC_FAILED/i;

/** POST /prompt was answered with a refusal. `inventory`: what the instance was believed to have. */
export function faultOfRejection(
  reply: Extract<PromptReply, { kind: 'rejected' }>,
  inventory: Inventory | null,
): Fault {
  const { error, nodeErrors } = reply;
  const lacking = nodeErrors.find((node) => lacksModel(node, inventory));
  if (lacking) return fault('NOT_EQUIPPED', cleanLine(nodeLine(lacking)), nodeOf(lacking));
  const [first] = nodeErrors;
  const line = cleanLine(first ? nodeLine(first) : [error.message, error.details].filter(Boolean).join(': '));
  if (error.type === 'missing_node_type' || UNKNOWN_NODE.test(error.message)) {
    return fault('NOT_EQUIPPED', line);
  }
  return fault('PROMPT_REJECTED', line, first ? nodeOf(first) : null);
}

/** The prompt was accepted, but outputs of it were dropped as invalid. `inventory` as above. */
export function faultOfNodeErrors(nodeErrors: readonly NodeErrors[], inventory: Inventory | null): Fault {
  const lacking = nodeErrors.find((node) => lacksModel(node, inventory));
  const shown = lacking ?? nodeErrors[0];
  const code = lacking ? 'NOT_EQUIPPED' : 'NODE_ERRORS';
  return shown ? fault(code, cleanLine(nodeLine(shown)), nodeOf(shown)) : fault(code);
}

/** As worded up to ComfyUI 0.3.64; later ones have a type for it. */
const UNKNOWN_NODE = /^Cannot execute because node .* does not exist/;

function lacksModel({ nodeType, errors }: NodeErrors, inventory: Inventory | null): boolean {
  return errors.some(
    ({ type, inputName }) =>
      type === 'value_not_in_list' &&
      nodeType !== null &&
      inputName !== null &&
      choosesModel(inventory, placeOf(nodeType, inputName)),
  );
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
