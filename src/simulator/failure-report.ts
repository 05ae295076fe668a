/** What execution_error says about a failed node, with the texts ComfyUI 0.3.64 gives. */
import { PythonError, trace } from './python-error.ts';
import { formatInput } from './tensor-text.ts';

export const OUT_OF_MEMORY = 'torch.OutOfMemoryError';

const OUT_OF_MEMORY_TIPS =
  'This error means you ran out of memory on your GPU.\n\nTIPS: If the workflow worked before you might have accidentally set the batch_size to a large number.';

const NODE_TRACE = [
  trace('execution.py', 496, 'execute'),
  trace('execution.py', 315, 'get_output_data'),
  trace('execution.py', 289, '_async_map_node_over_list'),
  trace('execution.py', 277, 'process_inputs'),
];

/** A node's own failure together with what it was called with. */
export class FailedNode extends Error {
  readonly error: unknown;
  readonly inputs: Record<string, unknown>;
  constructor(error: unknown, inputs: Record<string, unknown>) {
    super('node failed');
    this.error = error;
    this.inputs = inputs;
  }
}

/** The part of the message that describes the exception and what the node was called with. */
export function failureDetails(error: unknown, inputs: Readonly<Record<string, unknown>>) {
  const raised = PythonError.from(error);
  const tips = raised.exceptionType === OUT_OF_MEMORY ? OUT_OF_MEMORY_TIPS : '';
  return {
    exception_message: `${raised.message}\n${tips}`,
    exception_type: raised.exceptionType,
    traceback: [...NODE_TRACE, ...raised.traceback],
    current_inputs: Object.fromEntries(
      Object.entries(inputs).map(([name, value]) => [name, [formatInput(value)]]),
    ),
  };
}
