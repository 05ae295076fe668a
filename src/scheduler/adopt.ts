/**
 * Takes over what an earlier process left open: its prompts may be running, be done, or never have been posted. Each is
 * found again by its id; nothing is posted here.
 */
import { fault } from '../domain/fault.ts';
import type { Job } from '../domain/job.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Recorder } from '../jobs/recorder.ts';
import type { Logger } from '../lib/logger.ts';
import type { OpenAttempt } from '../store/attempts.ts';
import { findGraph, findJobs } from '../store/jobs.ts';
import type { Db } from '../store/open.ts';
import { outputsOfJobs } from '../store/outputs.ts';
import type { RunSubject } from './runs/active-run.ts';

export interface AdoptParts {
  readonly db: Db;
  readonly fleet: Fleet;
  readonly recorder: Recorder;
  readonly logger: Logger;
}

/** An open attempt that is ours now; `canceled`: its job is not wanted any more. */
export interface Adopted {
  readonly subject: RunSubject;
  readonly canceled: boolean;
}

/** Takes over attempts whose rows carry this term already. */
export async function adoptThese(
  parts: AdoptParts,
  term: number,
  open: readonly OpenAttempt[],
): Promise<Adopted[]> {
  const jobIds = open.map((attempt) => attempt.jobId);
  const jobs = new Map((await findJobs(parts.db, 'any', jobIds)).map((job) => [job.id, job]));
  const outputs = await outputsOfJobs(parts.db, 'any', jobIds);
  const adopted: Adopted[] = [];
  for (const attempt of open) {
    const job = jobs.get(attempt.jobId);
    const known = outputs.get(attempt.jobId)?.filter((output) => output.attemptId === attempt.id);
    const one = await adopt(parts, term, attempt, { job, knownOutputs: known ?? [] });
    if (one) adopted.push(one);
  }
  return adopted;
}

async function adopt(
  parts: AdoptParts,
  term: number,
  attempt: OpenAttempt,
  { job, knownOutputs }: { readonly job: Job | undefined } & Pick<RunSubject, 'knownOutputs'>,
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
  return {
    canceled: job.status !== 'PROCESSING',
    subject: {
      job,
      attempt,
      member,
      term,
      graph: (await findGraph(db, job.id)) ?? {},
      adopted: true,
      knownOutputs,
    },
  };
}
