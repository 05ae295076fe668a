/**
 * The names of the schema's types before any of them has fields: nouns refer to one another (a job has an instance, an
 * instance has jobs), so all are declared here and each noun's file fills in its own.
 */

import type { Fault } from '../domain/fault.ts';
import type { Instance } from '../domain/instance.ts';
import type { Attempt, JobStatus, Preview, Progress } from '../domain/job.ts';
import type { Output, StoredUpload } from '../domain/output.ts';
import type { JobPage, JobStats } from '../store/jobs.ts';
import type { WorkflowDefinition, WorkflowInputDefinition } from '../workflows/definition.ts';
import type { Builder } from './builder.ts';
import type { FleetMetricsView } from './fleet-metrics-view.ts';
import type { HealthCheck, HealthReport } from './health-report.ts';
import type { JobEventView } from './job-event-view.ts';
import type { JobView } from './job-view.ts';
import type { Place } from './place-board.ts';
import type { QueueStatus } from './queue-status.ts';

/** Anything: each type says for itself what its id is. */
export type NodeShape = object;
/** Every expected failure: what the members of result unions have in common. */
export interface ErrorShape {
  readonly code: string;
  readonly message: string;
}
export interface QueuePlaceShape extends Omit<Place, 'blockedBy'> {
  readonly job: JobView;
}
export interface PartOfJob<T> {
  readonly jobId: string;
  readonly value: T;
}
/** A page, and the way to its total, which is counted only when asked for. */
export interface JobConnectionShape {
  readonly page: JobPage;
  readonly total: () => Promise<number>;
}

/** In the order in which they are listed. */
export const MODEL_KINDS = [
  'CHECKPOINT',
  'LORA',
  'VAE',
  'CONTROLNET',
  'UPSCALER',
  'EMBEDDING',
  'CLIP',
  'DIFFUSION_MODEL',
  'OTHER',
] as const;
export type ModelKind = (typeof MODEL_KINDS)[number];
export interface ModelView {
  readonly name: string;
  readonly kind: ModelKind;
  readonly instances: readonly Instance[];
}

export function createRefs(builder: Builder) {
  return {
    Node: builder.interfaceRef<NodeShape>('Node'),
    Error: builder.interfaceRef<ErrorShape>('Error'),
    JobStatus: builder.enumType('JobStatus', {
      description: 'Where a job stands. COMPLETED, FAILED and CANCELED are final.',
      values: {
        PENDING: { description: 'It waits to be given to an instance.' },
        PROCESSING: { description: 'An instance has it.' },
        COMPLETED: { description: 'It ended and its outputs are stored.' },
        FAILED: { description: 'It ended without success; see Job.error.' },
        CANCELED: { description: 'It was canceled.' },
      } satisfies Record<JobStatus, { description: string }>,
    }),
    Job: builder.objectRef<JobView>('Job'),
    JobProgress: builder.objectRef<PartOfJob<Progress>>('JobProgress'),
    QueuePlace: builder.objectRef<QueuePlaceShape>('QueuePlace'),
    Preview: builder.objectRef<PartOfJob<Preview>>('Preview'),
    Attempt: builder.objectRef<Attempt>('Attempt'),
    JobError: builder.objectRef<Fault>('JobError'),
    JobConnection: builder.objectRef<JobConnectionShape>('JobConnection'),
    JobStats: builder.objectRef<JobStats>('JobStats'),
    JobEvent: builder.interfaceRef<JobEventView>('JobEvent'),
    Output: builder.interfaceRef<Output>('Output'),
    UploadedImage: builder.objectRef<StoredUpload>('UploadedImage'),
    Workflow: builder.objectRef<WorkflowDefinition>('Workflow'),
    WorkflowInput: builder.objectRef<WorkflowInputDefinition>('WorkflowInput'),
    Instance: builder.objectRef<Instance>('Instance'),
    ModelKind: builder.enumType('ModelKind', {
      description: 'What a model is, by the folder of ComfyUI that it lies in.',
      values: {
        CHECKPOINT: { description: 'checkpoints' },
        LORA: { description: 'loras' },
        VAE: { description: 'vae, vae_approx' },
        CONTROLNET: { description: 'controlnet' },
        UPSCALER: { description: 'upscale_models, latent_upscale_models' },
        EMBEDDING: { description: 'embeddings; prompts name them.' },
        CLIP: { description: 'text_encoders (clip)' },
        DIFFUSION_MODEL: { description: 'diffusion_models (unet), diffusers' },
        OTHER: { description: 'Any other folder, those of custom nodes too.' },
      } satisfies Record<ModelKind, { description: string }>,
    }),
    Model: builder.objectRef<ModelView>('Model'),
    QueueStatus: builder.objectRef<QueueStatus>('QueueStatus'),
    FleetMetrics: builder.objectRef<FleetMetricsView>('FleetMetrics'),
    Health: builder.objectRef<HealthReport>('Health'),
    HealthCheck: builder.objectRef<HealthCheck>('HealthCheck'),
  };
}

export type Refs = ReturnType<typeof createRefs>;
