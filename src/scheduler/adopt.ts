/**
 * Takes over what an earlier process left open: its prompts may be running, be done, or never have been posted. Each is
 * found again by its id; nothing is posted here.
 */
import type { CrashHook } from '../domain/crash-points.ts';
import { fault } from '../domain/fault.ts';
import type { Job } from '../domain/job.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Recorder } from '../jobs/recorder.ts';
import type { Logger } from '../lib/logger.ts';
import { claimOpenAttempts, type OpenAttempt } from '../store/attempts.ts';
import { findGraph, findJobs } from '../store/jobs.ts';
import type { Db } from '../store/open.ts';
import { outputsOfJobs } from '../store/outputs.ts';
import type { RunSubject } from './active-run.ts';

export interface AdoptParts {
  readonly db: Db;
  readonly fleet: Fleet;
  readonly recorder: Recorder;
  readonly logger: Logger;
  readonly crashAt?: CrashHook | undefined;
}

/** An open attempt that is ours now; `canceled`: its job is not wanted any more. */
export interface Adopted {
  readonly subject: RunSubject;
  readonly canceled: boolean;
}

/** Writes the term on every open attempt first, so that an earlier leader's writes are refused from then on. */
export async function adoptOpenAttempts(parts: AdoptParts, term: number): Promise<Adopted[]> {
  const open = await claimOpenAttempts(parts.db, term);
  parts.crashAt?.('adopt:claimed');
  return adoptThese(parts, term, open);
}

/** Takes over attempts whose rows carry this term already. */
export async function adoptThese(
  parts: AdoptParts,
  term: number,
  open: readonly OpenAttempt[],
): Promise<Adopted[]> {
  const jobIds = open.map((attempt) => attempt.jobId);
  const jobs = new Map((await findJobs(parts.db, 'any', jobIds)).map((job) => [job.id, job]));
  const adopted: Adopted[] = [];
  for (const attempt of open) {
    const one = await adopt(parts, term, attempt, jobs.get(attempt.jobId));
    if (one) adopted.push(one);
  }
  return adopted;
}

async function adopt(
  parts: AdoptParts,
  term: number,
  attempt: OpenAttempt,
  job: Job | undefined,
): Promise<Adopted | null> {
  const { db, fleet, recorder, logger } = parts;
  const member = fleet.member(attempt.instanceId);
  if (!member || !job) {
    // its instance left the fleet, or its job was deleted: whatever still runs is swept away when its queue is read
    logger.info(
      { attempt: attempt.id, job: attempt.jobId },
      'an open attempt has no instance or no job left',
    );
    const lost = job ? await recorder.lose(attempt.id, term, fault('INSTANCE_LOST')) : null;
    if (!lost) await recorder.closeCanceled(attempt.id, term);
    return null;
  }
  const outputs = (await outputsOfJobs(db, 'any', [job.id])).get(job.id) ?? [];
  return {
    canceled: job.status !== 'PROCESSING',
    subject: {
      job,
      attempt,
      member,
      term,
      graph: (await findGraph(db, job.id)) ?? {},
      adopted: true,
      knownOutputs: outputs.filter((output) => output.attemptId === attempt.id),
    },
  };
}
