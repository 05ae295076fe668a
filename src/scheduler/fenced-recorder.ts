/**
 * The recorder in the hands of a leader: what the leader writes of attempts is refused as soon as its term may be over. The
 * rows refuse it as well once a successor has claimed them; this holds from the moment the lease ran out.
 */
import type { Recorder } from '../jobs/recorder.ts';

/** `mayWrite`: this term goes on. */
export function fencedRecorder(recorder: Recorder, mayWrite: (term: number) => boolean): Recorder {
  return {
    ...recorder,
    assign: async (assignment) => (mayWrite(assignment.term) ? recorder.assign(assignment) : null),
    running: async (id, term) => mayWrite(term) && recorder.running(id, term),
    collecting: async (id, term) => mayWrite(term) && recorder.collecting(id, term),
    output: async (id, term, output) => (mayWrite(term) ? recorder.output(id, term, output) : null),
    complete: async (id, term, runMs) => (mayWrite(term) ? recorder.complete(id, term, runMs) : null),
    fail: async (id, term, ...how) => (mayWrite(term) ? recorder.fail(id, term, ...how) : null),
    lose: async (id, term, ...how) => (mayWrite(term) ? recorder.lose(id, term, ...how) : null),
    closeCanceled: async (id, term, runMs) => mayWrite(term) && recorder.closeCanceled(id, term, runMs),
  };
}
