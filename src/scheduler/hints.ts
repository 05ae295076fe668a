/** Listens to what api and recorder hint at. A hint may be lost; the rows are the truth. */
import type { EventBus } from '../events/bus.ts';
import { hintsTopic } from '../events/topics.ts';

export interface HintActions {
  readonly queued: (jobId: string) => void;
  /** Canceled or deleted. */
  readonly notWanted: (jobId: string) => void;
  /** Somebody asks something of an instance. */
  readonly wished: () => void;
  /** Messages were dropped. */
  readonly lost: () => void;
  /** Called after each of the above. */
  readonly wake: () => void;
}

export interface HintListener {
  close(): void;
  /** Resolves once closed. */
  readonly done: Promise<void>;
}

/** Resolves once listening is confirmed. */
export async function listenForHints(bus: EventBus, actions: HintActions): Promise<HintListener> {
  const subscription = await bus.subscribe([hintsTopic], { limit: 4096 });
  const read = async (): Promise<void> => {
    for await (const signal of subscription) {
      if (signal.kind === 'gap') actions.lost();
      else if (signal.kind === 'hint' && signal.hint === 'instances-changed') actions.wished();
      else if (signal.kind === 'hint' && signal.jobId !== null) {
        if (signal.hint === 'job-queued') actions.queued(signal.jobId);
        else if (signal.hint === 'cancel-asked' || signal.hint === 'job-deleted') {
          actions.notWanted(signal.jobId);
        }
      }
      actions.wake();
    }
  };
  return { close: () => subscription.close(), done: read() };
}

/** Hears, on standby, that the leader stopped in order (or may have, as messages were dropped). */
export async function listenForVacancy(bus: EventBus, onVacancy: () => void): Promise<HintListener> {
  const subscription = await bus.subscribe([hintsTopic]);
  const read = async (): Promise<void> => {
    for await (const signal of subscription) {
      const isVacancy = signal.kind === 'hint' && signal.hint === 'leader-left';
      if (isVacancy || signal.kind === 'gap') onVacancy();
    }
  };
  return { close: () => subscription.close(), done: read() };
}
