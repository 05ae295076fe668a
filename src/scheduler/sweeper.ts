/**
 * Takes prompts of ours off an instance that no attempt stands for any more: an attempt was given up because its instance
 * could not be reached, and the instance went on with it. Prompts of others are never touched.
 */
import type { Queue, QueueItem } from '../comfyui/queue.ts';
import type { CrashHook } from '../domain/crash-points.ts';
import { OPEN_ATTEMPT_STATES } from '../domain/job-states.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Member } from '../fleet/member.ts';
import { isOurs } from '../fleet/ownership.ts';
import type { Logger } from '../lib/logger.ts';
import { findAttempt } from '../store/attempts.ts';
import type { Db } from '../store/open.ts';
import type { Background } from './background.ts';

export interface SweepParts {
  readonly db: Db;
  readonly fleet: Pick<Fleet, 'id'>;
  readonly logger: Logger;
  /** A run of this process stands for the prompt. */
  readonly isActive: (promptId: string) => boolean;
  readonly signal: AbortSignal;
  readonly crashAt?: CrashHook | undefined;
}

const WITHIN_MS = 3000;

/** Where the prompts are. */
export interface Swept {
  readonly id: string;
  /** The prompt of ours that stands for no attempt; none when absent. */
  readonly canaryId?: string | null;
  readonly cancel: Member['cancel'];
}

/** Answers how many it went for. */
export async function sweep(parts: SweepParts, swept: Swept, queue: readonly QueueItem[]): Promise<number> {
  let found = 0;
  for (const item of queue) {
    if (!isOurs(item, parts.fleet.id) || parts.isActive(item.promptId)) continue;
    if (item.promptId === swept.canaryId) continue;
    const attempt = await findAttempt(parts.db, item.promptId);
    const open = OPEN_ATTEMPT_STATES.some((state) => state === attempt?.state);
    if (open || parts.signal.aborted) continue;
    found++;
    parts.crashAt?.('sweep:found');
    const outcome = await swept.cancel({
      promptId: item.promptId,
      withinMs: WITHIN_MS,
      signal: parts.signal,
    });
    parts.crashAt?.('sweep:removed');
    parts.logger.info(
      { attempt: item.promptId, instance: swept.id, outcome },
      'a forgotten prompt was removed',
    );
  }
  return found;
}

/** Sweeps the instances of the fleet when their queues were read, each once at a time. */
export class Sweeper {
  readonly #parts: SweepParts;
  readonly #background: Background;
  readonly #sweeping = new Set<string>();

  constructor(parts: SweepParts, background: Background) {
    this.#parts = parts;
    this.#background = background;
  }

  sweep(member: Swept, queue: Queue): void {
    if (this.#sweeping.has(member.id)) return;
    this.#sweeping.add(member.id);
    this.#background.own(this.#sweep(member, queue), 'sweep');
  }

  async #sweep(member: Swept, queue: Queue): Promise<void> {
    try {
      await sweep(this.#parts, member, [...queue.running, ...queue.pending]);
    } finally {
      this.#sweeping.delete(member.id);
    }
  }
}
