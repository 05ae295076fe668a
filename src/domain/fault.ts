/**
 * Why an attempt or a job failed, sorted in one table: whose fault, retryable or final, and the message a user sees.
 * `detail` of a code may add what the client needs (a node's message); never a path, a traceback or an input.
 */
export interface Fault {
  readonly code: FaultCode;
  readonly message: string;
  readonly nodeId: string | null;
  readonly nodeType: string | null;
  readonly retryable: boolean;
}

interface FaultKind {
  /** Who is to blame: decides what the instance's breaker makes of it. */
  readonly blame: 'job' | 'instance' | 'ambiguous' | 'nobody';
  /** Worth another attempt. */
  readonly retryable: boolean;
  /** Whether the attempt counts against maxAttempts. */
  readonly charged: boolean;
  /** The instance went down with the job in it: nobody knows which of the two was the cause, but a job to which it
   * happens JOB_MAX_CRASHES times is POISON. */
  readonly takesDown?: true;
  readonly message: string;
}

export const FAULTS = {
  PROMPT_REJECTED: { blame: 'job', retryable: false, charged: true, message: 'ComfyUI refused the workflow' },
  NODE_ERRORS: {
    blame: 'job',
    retryable: false,
    charged: true,
    message: 'some outputs of the workflow are invalid',
  },
  NOT_EQUIPPED: {
    blame: 'nobody',
    retryable: true,
    charged: true,
    message: 'the instance has a node type or a model no longer that it had when it was asked',
  },
  NODE_FAILED: { blame: 'ambiguous', retryable: true, charged: true, message: 'a node failed' },
  OUT_OF_MEMORY: {
    blame: 'ambiguous',
    retryable: true,
    charged: true,
    message: 'the instance ran out of memory',
  },
  OUTPUT_BLOCKED: { blame: 'job', retryable: false, charged: true, message: 'a node blocked an output' },
  NO_OUTPUT: {
    blame: 'job',
    retryable: false,
    charged: true,
    message: 'the workflow ended without any output',
  },
  INTERRUPTED: {
    blame: 'ambiguous',
    retryable: true,
    charged: true,
    message: 'the run was interrupted on the instance',
  },
  TIMEOUT: {
    blame: 'ambiguous',
    retryable: true,
    charged: true,
    message: 'the attempt ran longer than its timeout',
  },
  UPLOAD_FAILED: {
    blame: 'instance',
    retryable: true,
    charged: true,
    message: 'an input file could not be handed to the instance',
  },
  SUBMIT_FAILED: {
    blame: 'instance',
    retryable: true,
    charged: true,
    message: 'the instance could not take the job',
  },
  OUTPUT_UNAVAILABLE: {
    blame: 'instance',
    retryable: true,
    charged: true,
    message: 'an output file could not be fetched',
  },
  OUTPUT_TOO_LARGE: {
    blame: 'job',
    retryable: false,
    charged: true,
    message: 'the outputs are larger or more than allowed',
  },
  STORAGE_UNAVAILABLE: {
    blame: 'nobody',
    retryable: true,
    charged: false,
    message: 'the storage of the gateway does not answer, so an input file could not be read',
  },
  INPUT_UNAVAILABLE: {
    blame: 'job',
    retryable: false,
    charged: true,
    message: 'an input file is no longer stored',
  },
  INSTANCE_LOST: {
    blame: 'instance',
    retryable: true,
    charged: false,
    message: 'the instance forgot the job or left the fleet',
  },
  INSTANCE_CRASHED: {
    blame: 'ambiguous',
    retryable: true,
    charged: false,
    takesDown: true,
    message: 'the instance went down while it ran the job',
  },
  INSTANCE_UNREACHABLE: {
    blame: 'ambiguous',
    retryable: true,
    charged: false,
    takesDown: true,
    message: 'the instance stopped answering while it ran the job',
  },
  INSTANCE_STALLED: {
    blame: 'instance',
    retryable: true,
    charged: false,
    message: 'the instance accepted the job but did not start it',
  },
  GPU_FAULT: {
    blame: 'instance',
    retryable: true,
    charged: false,
    takesDown: true,
    message: 'the GPU of the instance failed',
  },
  INSTANCE_DISK_FULL: {
    blame: 'instance',
    retryable: true,
    charged: true,
    message: 'the disk of the instance is full',
  },
  POISON: {
    blame: 'job',
    retryable: false,
    charged: false,
    message: 'every instance that ran the job went down, so it is not tried again',
  },
  DEADLINE_EXCEEDED: {
    blame: 'nobody',
    retryable: false,
    charged: false,
    message: 'the deadline passed while the job was waiting',
  },
  INTERNAL: { blame: 'nobody', retryable: true, charged: true, message: 'an internal error of the gateway' },
} as const satisfies Record<string, FaultKind>;

export type FaultCode = keyof typeof FAULTS;

/** Whether the code is one of attempts whose instance went down with them. */
export function takesDown(code: FaultCode): boolean {
  return 'takesDown' in FAULTS[code];
}

/** A fault of the table; `detail` replaces the general message. */
export function fault(
  code: FaultCode,
  detail?: string | null,
  node?: { readonly nodeId: string; readonly nodeType: string | null } | null,
): Fault {
  const kind = FAULTS[code];
  return {
    code,
    message: detail || kind.message,
    nodeId: node?.nodeId ?? null,
    nodeType: node?.nodeType ?? null,
    retryable: kind.retryable,
  };
}
