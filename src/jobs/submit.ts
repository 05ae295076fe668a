/**
 * From what a client sends to a queued job. The order is the point: everything that needs no bytes is checked first, so
 * that bad input writes nothing; then pictures are stored; then one transaction makes the job.
 */
import { type Needs, needsKey, needsOf } from '../domain/capabilities.ts';
import { fileRefsOf } from '../domain/file-refs.ts';
import type { LimitsOf } from '../domain/tenant-limits.ts';
import type { Viewer } from '../domain/viewer.ts';
import type { Clock } from '../lib/clock.ts';
import { equippedFleet } from '../store/equipped-fleet.ts';
import { findKey } from '../store/idempotency.ts';
import type { EquippedInstance } from '../store/inventories.ts';
import { findJob } from '../store/jobs.ts';
import type { Store } from '../store/open.ts';
import type { WorkflowRegistry } from '../workflows/definition.ts';
import { bodyHash } from './body-hash.ts';
import { type Draft, draftOf, fillSlots } from './draft.ts';
import type { FetchOptions } from './fetch-image.ts';
import { type QueueLimits, reachedLimit } from './insert-job.ts';
import { namesNothing, type Picture, PictureIntake } from './picture-intake.ts';
import type { IdempotencyRequest, NewJob, QueueResult, QueueWriter } from './queue-writer.ts';
import { queueFull, retryJob } from './retry.ts';
import { firstModel, shortageOf } from './runnable.ts';
import type { RetryResult, SubmitRequest, SubmitResult } from './submission.ts';
import { checkOptions, type SubmitOptions } from './submit-options.ts';
import type { Uploads } from './uploads.ts';

export interface SubmitConfig {
  readonly jobTimeoutMs: number;
  readonly maxAttempts: number;
  readonly maxQueuedJobs: number;
  readonly maxUploadBytes: number;
  readonly allowPrivateImageUrls: boolean;
}

export interface SubmitterParts {
  readonly store: Store;
  readonly recorder: { readonly queue: QueueWriter };
  readonly uploads: Uploads;
  readonly workflows: () => WorkflowRegistry;
  readonly clock: Clock;
  readonly ids: () => string;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly config: SubmitConfig;
  readonly limitsOf: LimitsOf;
  /** How picture URLs are resolved and which addresses may be reached; default: the public internet. */
  readonly fetch?: Partial<Pick<FetchOptions, 'resolve' | 'isAllowed' | 'timeoutMs'>>;
}

export interface Submitter {
  /** Makes a job, or says why not. Errors of an upload's stream (the client left) are thrown on. */
  submit(viewer: Viewer, request: SubmitRequest): Promise<SubmitResult>;
  /** Makes a new job of an ended one. */
  retry(viewer: Viewer, jobId: string, trace?: string | null): Promise<RetryResult>;
}

export function createSubmitter(parts: SubmitterParts): Submitter {
  const steps = new SubmitSteps(parts);
  return {
    submit: (viewer, request) => steps.submit(viewer, request),
    retry: (viewer, jobId, trace) => retryJob(parts, viewer, jobId, trace),
  };
}

/** A submission that passed every check that needs no bytes. */
interface Accepted {
  readonly request: SubmitRequest;
  readonly options: SubmitOptions;
  readonly draft: Draft;
  readonly needs: Needs;
}

class SubmitSteps {
  readonly #parts: SubmitterParts;
  readonly #intake: PictureIntake;

  constructor(parts: SubmitterParts) {
    this.#parts = parts;
    const { store, uploads, clock, config } = parts;
    this.#intake = new PictureIntake({
      store,
      uploads,
      maxUploadBytes: config.maxUploadBytes,
      fetch: { clock, allowPrivate: config.allowPrivateImageUrls, ...parts.fetch },
    });
  }

  async submit(viewer: Viewer, request: SubmitRequest): Promise<SubmitResult> {
    const fleet = await equippedFleet(this.#parts.store);
    const accepted = this.#accept(request, fleet);
    if ('kind' in accepted) return accepted;
    const checked = await this.#intake.check(viewer, accepted.draft.slots);
    if (!checked.ok) return checked.refusal;
    const earlier = await this.#earlier(viewer, accepted.options);
    // A repeated request is answered with its job, whatever became of the fleet or the queue since.
    const refusal = earlier ? null : await this.#admit(viewer, accepted, fleet);
    if (refusal) return refusal;
    const received = await this.#intake.receive(viewer, checked.ready);
    if (!received.ok) return received.refusal;
    return this.#makeJob(viewer, accepted, received.pictures, earlier);
  }

  #accept(request: SubmitRequest, fleet: Fleet): Accepted | SubmitResult {
    const { options, issues } = checkOptions(request);
    const drafted = draftOf(request, {
      workflows: this.#parts.workflows(),
      random: this.#parts.random,
      firstModel: (folder) => firstModel(fleet, folder),
    });
    if (drafted.ok && issues.length === 0) {
      const { draft } = drafted;
      return { request, options, draft, needs: needsOf(draft.graph, fleet) };
    }
    if (!drafted.ok && 'issues' in drafted) issues.push(...drafted.issues);
    if (issues.length > 0) return { kind: 'invalid', issues };
    const nodeErrors = !drafted.ok && 'nodeErrors' in drafted ? drafted.nodeErrors : [];
    return { kind: 'workflow-invalid', message: 'the graph cannot be run', nodeErrors };
  }

  async #earlier(viewer: Viewer, { idempotencyKey }: SubmitOptions): Promise<EarlierJob | null> {
    if (idempotencyKey === null) return null;
    const { store, clock } = this.#parts;
    return findKey(store.db, viewer.tenant, idempotencyKey, clock.now());
  }

  async #admit(viewer: Viewer, { draft, needs }: Accepted, fleet: Fleet): Promise<SubmitResult | null> {
    const shortage = shortageOf(needs, fleet);
    if (shortage) return { kind: 'not-runnable', ...shortage };
    // The recorder decides; looking here too spares a full gateway the bytes of what it cannot take.
    if (draft.slots.length === 0) return null;
    const reached = await reachedLimit(this.#parts.store.db, viewer.tenant, this.#limits(viewer));
    return reached && queueFull(reached);
  }

  async #makeJob(
    viewer: Viewer,
    { request, options, draft, needs }: Accepted,
    pictures: readonly Picture[],
    earlier: EarlierJob | null,
  ): Promise<SubmitResult> {
    const sha256s = pictures.map((picture) => picture.sha256);
    const key = options.idempotencyKey;
    const idempotency =
      key === null ? undefined : { key, bodyHash: bodyHash(request, options, draft.slots, sha256s) };
    if (earlier) {
      for (const picture of pictures) await picture.drop();
      const job = await findJob(this.#parts.store.db, viewer, earlier.jobId);
      const same = earlier.bodyHash === idempotency?.bodyHash;
      return job && same ? { kind: 'submitted', job } : { kind: 'conflict', job };
    }
    const filled = await Promise.all(pictures.map((picture) => picture.keep()));
    const { graph, inputs } = fillSlots(draft, filled);
    const job = this.#newJob(draft.workflow, options, { graph, inputs, needs, trace: request.trace });
    const queued = await this.#queue(viewer, job, idempotency);
    if (queued.kind !== 'file-gone') return queued;
    const gone = draft.slots.filter((_, slot) => filled[slot]?.sha256 === queued.sha256);
    return { kind: 'invalid', issues: gone.map(namesNothing) };
  }

  #newJob(
    workflow: string,
    options: SubmitOptions,
    content: Pick<NewJob, 'graph' | 'inputs' | 'needs' | 'trace'>,
  ): NewJob {
    const { config, clock, ids } = this.#parts;
    return {
      ...content,
      id: ids(),
      workflow,
      files: fileRefsOf(content.graph),
      needsKey: needsKey(content.needs),
      priority: options.priority,
      labels: options.labels,
      timeoutMs: options.timeoutMs ?? config.jobTimeoutMs,
      deadlineAt: options.deadlineMs === null ? null : clock.now() + options.deadlineMs,
      maxAttempts: options.maxAttempts ?? config.maxAttempts,
      retryOf: null,
    };
  }

  async #queue(
    viewer: Viewer,
    job: NewJob,
    key: IdempotencyRequest | undefined,
  ): Promise<SubmitResult | FileGone> {
    const queued = await this.#parts.recorder.queue(viewer, job, key, this.#limits(viewer));
    switch (queued.kind) {
      case 'queued':
      case 'existing':
        return { kind: 'submitted', job: queued.job };
      case 'conflict':
        return { kind: 'conflict', job: queued.job };
      case 'queue-full':
        return queueFull(queued.limit);
      case 'file-gone':
        return queued;
    }
  }

  #limits({ tenant }: Viewer): QueueLimits {
    const { config, limitsOf } = this.#parts;
    return { maxQueued: config.maxQueuedJobs, maxQueuedOfTenant: limitsOf(tenant).maxQueued };
  }
}

type FileGone = Extract<QueueResult, { kind: 'file-gone' }>;
type Fleet = readonly EquippedInstance[];
type EarlierJob = NonNullable<Awaited<ReturnType<typeof findKey>>>;
