/** Puts the two halves of a recording, HTTP and sockets, into one order: the order a replay has to keep. */
import type { RecordedEvent, RecordedRequest, Recording } from './recording.ts';

export type Step =
  | {
      readonly kind: 'request';
      readonly at: number;
      readonly index: number;
      readonly request: RecordedRequest;
    }
  | { readonly kind: 'event'; readonly at: number; readonly event: RecordedEvent };

/** Event types that arrive by themselves; all others are done by the client (or the rig) and must be repeated. */
export function isPassive(event: RecordedEvent): boolean {
  return (
    event.type === 'text' || event.type === 'binary' || (event.type === 'closed' && event.by === 'server')
  );
}

/** All steps by time; what has no time came before the first prompt. Messages go before requests of the same instant. */
export function timeline(recording: Recording): Step[] {
  const requests = recording.http.map(
    (request, index): Step => ({ kind: 'request', at: request.t_ms ?? before, index, request }),
  );
  const events = recording.ws.map((event): Step => ({ kind: 'event', at: event.t_ms ?? before, event }));
  return [
    ...requests.filter((step) => step.at === before),
    ...events,
    ...requests.filter((step) => step.at !== before),
  ]
    .map((step, order) => ({ step, order }))
    .sort((a, b) => a.step.at - b.step.at || a.order - b.order)
    .map(({ step }) => step);
}

const before = -1;
