/** Plays the scheduler: runs every queued job through the recorder, with live progress in between. */

import type { Instance } from '../../src/domain/instance.ts';
import { hintsTopic } from '../../src/events/topics.ts';
import { findJob } from '../../src/store/jobs.ts';
import { TERM, type TestGateway } from './gateway.ts';

export async function startRunner(gateway: TestGateway, instance: Instance): Promise<() => void> {
  const hints = await gateway.bus.subscribe([hintsTopic]);
  let slot = 0;
  const run = async (jobId: string): Promise<void> => {
    const job = await findJob(gateway.store.db, 'any', jobId);
    if (!job) return;
    const attempt = await gateway.assign(jobId, instance, slot++);
    for (const fraction of [0.2, 0.4, 0.6, 0.8]) {
      const progress = {
        fraction,
        node: '2',
        nodeType: 'SaveImage',
        step: null,
        totalSteps: null,
        remainingMs: null,
      };
      const change = { type: 'progress', progress } as const;
      gateway.bus.publish({ kind: 'job', jobId, tenant: job.tenant, seq: 2, at: Date.now(), change });
    }
    await gateway.addOutput(attempt, new TextEncoder().encode(jobId));
    await gateway.recorder.collecting(attempt, TERM);
    await gateway.recorder.complete(attempt, TERM, 10);
  };
  void (async () => {
    for await (const signal of hints) {
      if (signal.kind === 'hint' && signal.hint === 'job-queued' && signal.jobId) await run(signal.jobId);
    }
  })();
  return () => hints.close();
}
