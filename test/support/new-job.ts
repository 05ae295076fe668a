/** A job as the submitter hands it to the recorder, with whatever a test cares about. */
import type { NewJob } from '../../src/jobs/queue-writer.ts';

export function newJob(id: string, differences: Partial<NewJob> = {}): NewJob {
  return {
    id,
    workflow: 'upscaleImage',
    inputs: {},
    graph: { '1': { class_type: 'SaveImage', inputs: {} } },
    files: [],
    needs: { nodeTypes: ['SaveImage'], models: [] },
    needsKey: 'needs-1',
    priority: 5,
    labels: {},
    timeoutMs: 300_000,
    deadlineAt: null,
    maxAttempts: 3,
    retryOf: null,
    ...differences,
  };
}
