/** The shape of a bus message that came over a wire: only what this version knows how to read passes. */
import { z } from 'zod';
import { JOB_STATUSES } from '../domain/job.ts';
import type { BusMessage } from './messages.ts';

const id = z.string().min(1).max(256);
const name = z.string().max(1024);
const count = z.int().nonnegative();
const moment = z.number();

export const progressSchema = z.object({
  fraction: z.number(),
  node: name.nullable(),
  nodeType: name.nullable(),
  step: z.number().nullable(),
  totalSteps: z.number().nullable(),
  remainingMs: z.number().nullable(),
});

export const previewSchema = z.object({ revision: count, mimeType: name, at: moment });

const durableEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('queued') }),
  z.object({ type: z.literal('started'), attemptId: id }),
  z.object({ type: z.literal('output'), outputId: id }),
  z.object({ type: z.literal('retried'), attemptId: id, delayMs: z.number() }),
  z.object({ type: z.literal('canceled') }),
  z.object({ type: z.literal('finished'), status: z.enum(JOB_STATUSES) }),
]);

const jobChange = z.discriminatedUnion('type', [
  z.object({ type: z.literal('durable'), event: durableEvent }),
  z.object({ type: z.literal('progress'), progress: progressSchema }),
  z.object({ type: z.literal('node'), node: name, nodeType: name.nullable() }),
  z.object({ type: z.literal('cached'), nodes: z.array(name) }),
  z.object({ type: z.literal('preview'), preview: previewSchema }),
  // it came out of JSON, so that is what it is; checking it through would cost more than all the rest
  z.object({
    type: z.literal('comfy'),
    messageType: name,
    data: z.custom<never>((data) => data !== undefined),
  }),
  z.object({ type: z.literal('deleted') }),
]);

export const messageSchema: z.ZodType<BusMessage> = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('job'),
    jobId: id,
    tenant: z.string(),
    seq: count,
    at: moment,
    change: jobChange,
  }),
  z.object({ kind: z.literal('instance'), instanceId: id, at: moment }),
  z.object({ kind: z.literal('queue'), at: moment }),
  z.object({
    kind: z.literal('hint'),
    hint: z.enum(['job-queued', 'cancel-asked', 'job-deleted', 'instances-changed', 'leader-left']),
    jobId: id.nullable(),
  }),
]);
