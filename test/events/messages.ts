/** Messages as tests publish them. */

import type { Preview, Progress } from '../../src/domain/job.ts';
import type { LiveEvent } from '../../src/domain/job-event.ts';
import type { HintMessage, JobMessage, PreviewMessage } from '../../src/events/messages.ts';

const AT = 1_700_000_000_000;

/** A job message of tenant `acme`. */
export function job(jobId: string, seq: number, change: JobMessage['change']): JobMessage {
  return { kind: 'job', jobId, tenant: 'acme', seq, at: AT + seq, change };
}

export function durable(jobId: string, seq: number): JobMessage {
  return job(jobId, seq, { type: 'durable', event: { type: 'output', outputId: `${jobId}-${seq}` } });
}

export function progressOf(fraction: number): Progress {
  return { fraction, node: '3', nodeType: 'KSampler', step: 1, totalSteps: 20, remainingMs: null };
}

export function progress(jobId: string, fraction: number, seq = 1): JobMessage {
  return job(jobId, seq, { type: 'progress', progress: progressOf(fraction) });
}

export function previewOf(revision: number): Preview {
  return { revision, mimeType: 'image/jpeg', at: AT + revision };
}

export function preview(jobId: string, revision: number): PreviewMessage {
  const message = job(jobId, 1, { type: 'preview', preview: previewOf(revision) });
  return { ...message, change: { type: 'preview', preview: previewOf(revision) } };
}

export function commentary(jobId: string, node: string): JobMessage {
  const change: LiveEvent = { type: 'node', node, nodeType: null };
  return job(jobId, 1, change);
}

export function hint(kind: HintMessage['hint'], jobId: string | null = null): HintMessage {
  return { kind: 'hint', hint: kind, jobId };
}
