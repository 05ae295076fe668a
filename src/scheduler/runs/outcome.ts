/** How an attempt ended, as a value; settle.ts writes it down. */
import type { Fault } from '../../domain/fault.ts';

export type Outcome =
  /** `goneWith`: all the same the instance went away before it had said so in full. */
  | { readonly kind: 'succeeded'; readonly runMs: number; readonly goneWith?: Fault }
  | { readonly kind: 'failed'; readonly fault: Fault; readonly runMs: number | null }
  /** The instance forgot it or cannot be reached: not the job's fault. */
  | { readonly kind: 'lost'; readonly fault: Fault }
  /** Its signal was aborted; the run says by what. */
  | { readonly kind: 'interrupted' };

export function failed(fault: Fault, runMs: number | null = null): Extract<Outcome, { kind: 'failed' }> {
  return { kind: 'failed', fault, runMs };
}

export const INTERRUPTED: Outcome = { kind: 'interrupted' };
