/** What an attempt's end says about its instance, for the breaker. Pure: the fault table decides who is to blame. */
import { FAULTS, type FaultCode, takesDown } from '../../domain/fault.ts';
import type { Experience } from '../../fleet/breaker.ts';
import type { Outcome } from './outcome.ts';

/** A run that fails sooner has hardly begun: an instance on which each job does that attracts the whole queue. */
const QUICK_MS = 2000;

export const WOULD_NOT_STOP: Experience = { kind: 'fault', reason: 'a prompt on it could not be stopped' };

/** Null when it says nothing: the job is to blame, or nobody. */
export function experienceOf(
  outcome: Exclude<Outcome, { kind: 'interrupted' }>,
  jobId: string,
): Experience | null {
  if (outcome.kind === 'succeeded')
    return outcome.goneWith ? fault(outcome.goneWith.code) : { kind: 'success' };
  const { code } = outcome.fault;
  const { blame, message } = FAULTS[code];
  if (blame === 'instance' || takesDown(code)) return fault(code);
  // somebody at the instance's own page may have interrupted it
  if (blame !== 'ambiguous' || code === 'INTERRUPTED' || outcome.kind === 'lost') return null;
  const quick = outcome.runMs !== null && outcome.runMs < QUICK_MS;
  return quick ? { kind: 'quick-failure', jobId, reason: message } : null;
}

function fault(code: FaultCode): Experience {
  return { kind: 'fault', reason: FAULTS[code].message };
}
