/** Tells at the start what would never work from what may pass: a wrong bucket or key, and a server that is away. */
import type { Logger } from '../lib/logger.ts';
import type { S3Bucket } from './s3-bucket.ts';
import type { S3Location } from './s3-location.ts';
import { describeProblem, isAbsent, isTransient } from './s3-problem.ts';

const CHECK_MS = 10_000;

/** Makes the bucket where that is wanted. @throws when it is not there or may not be used; that it is away is logged. */
export async function readyBucket(bucket: S3Bucket, location: S3Location, logger: Logger): Promise<void> {
  try {
    await bucket.check(CHECK_MS);
  } catch (error) {
    const problem = describeProblem(error);
    if (isAbsent(error)) {
      if (!location.createBucket) throw new Error(`STORAGE_URL: there is no bucket ${location.bucket}`);
      await bucket.create();
    } else if (isTransient(error)) logger.warn({ problem }, 'the object store does not answer');
    else throw new Error(`STORAGE_URL: the object store cannot be used: ${problem}`);
  }
}
