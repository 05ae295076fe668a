/**
 * Takes prompts of ours off an instance that no attempt stands for any more: an attempt was given up because its instance
 * could not be reached, and the instance went on with it. Prompts of others are never touched.
 */
import type { Queue } from '../comfyui/queue.ts';
import type { CrashHook } from '../domain/crash-points.ts';
import { OPEN_ATTEMPT_STATES } from '../domain/job-states.ts';
import type { Member } from '../fleet/member.ts';
import { isOurs } from '../fleet/ownership.ts';
import type { Logger } from '../lib/logger.ts';
import { findAttempt } from '../store/attempts.ts';
import type { Db } from '../store/open.ts';

export interface SweepParts {
  readonly db: Db;
  readonly fleetId: string;
  readonly logger: Logger;
  /** A run of this process stands for the prompt. */
  readonly isActive: (promptId: string) => boolean;
  readonly signal: AbortSignal;
  readonly crashAt?: CrashHook | undefined;
}

const WITHIN_MS = 3000;

export async function sweep(parts: SweepParts, member: Member, queue: Queue): Promise<void> {
  for (const item of [...queue.running, ...queue.pending]) {
    if (!isOurs(item, parts.fleetId) || parts.isActive(item.promptId)) continue;
    if (item.promptId === member.canaryId) continue;
    const attempt = await findAttempt(parts.db, item.promptId);
    const open = OPEN_ATTEMPT_STATES.some((state) => state === attempt?.state);
    if (open || parts.signal.aborted) continue;
    parts.crashAt?.('sweep:found');
    const outcome = await member.cancel({
      promptId: item.promptId,
      withinMs: WITHIN_MS,
      signal: parts.signal,
    });
    parts.crashAt?.('sweep:removed');
    parts.logger.info(
      { attempt: item.promptId, instance: member.id, outcome },
      'a forgotten prompt was removed',
    );
  }
}
