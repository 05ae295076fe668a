/**
 * The bus in the hands of a leader's runs: silent as soon as the term may be over. A process that slept finds old messages
 * of its instances in its sockets, and what they say is of the past: a successor follows those runs by now.
 */
import type { EventBus } from '../events/bus.ts';

/** What a run does with the bus. */
export type RunBus = Pick<EventBus, 'publish' | 'publishPreview' | 'publishSurvey' | 'forget'>;

/** `mayTell`: this term goes on. */
export function fencedBus(bus: RunBus, mayTell: () => boolean): RunBus {
  return {
    publish: (message) => {
      if (mayTell()) bus.publish(message);
    },
    publishPreview: (message, image) => {
      if (mayTell()) bus.publishPreview(message, image);
    },
    publishSurvey: (survey) => {
      if (mayTell()) bus.publishSurvey(survey);
    },
    forget: (jobId) => {
      if (mayTell()) bus.forget(jobId);
    },
  };
}
