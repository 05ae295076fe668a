/** What a client hands in to have a job made, and every way it may end: the words of submit.ts and retry.ts. */
import type { Needs } from '../domain/capabilities.ts';
import type { Job } from '../domain/job.ts';
import type { JsonObject } from '../lib/json.ts';
import type { QueueLimit } from './insert-job.ts';
import type { Issue, SentValue } from './sources.ts';

/** Durations in ms. `null` counts as absent, as GraphQL clients send it. */
export interface SubmitRequest {
  /** Name of a workflow... */
  readonly workflow?: string | null;
  /** ...or a raw graph in ComfyUI's API format; exactly one of the two. */
  readonly graph?: unknown;
  readonly inputs?: Readonly<Record<string, SentValue>> | null;
  /** 1 to 10; default 5. */
  readonly priority?: number | null;
  readonly labels?: JsonObject | null;
  readonly idempotencyKey?: string | null;
  readonly timeoutMs?: number | null;
  readonly deadlineMs?: number | null;
  readonly maxAttempts?: number | null;
  /** W3C traceparent of what submits it; null when that is not traced. */
  readonly trace?: string | null;
}

/** A node of a raw graph that cannot be sent to an instance. */
export interface NodeProblem {
  readonly nodeId: string;
  readonly nodeType: string | null;
  readonly message: string;
}

/** Why a picture was not stored. */
export type FileRefusal =
  | { readonly kind: 'too-large'; readonly maxBytes: number }
  | { readonly kind: 'unsupported'; readonly accepted: readonly string[] }
  | {
      readonly kind: 'too-many-pixels';
      readonly width: number;
      readonly height: number;
      readonly maxPixels: number;
    }
  | { readonly kind: 'invalid'; readonly issues: readonly Issue[] }
  /** The disk is full: worth another try later. */
  | { readonly kind: 'storage-unavailable' };

/** As many jobs wait as may. */
export interface QueueFull {
  readonly kind: 'queue-full';
  readonly limit: QueueLimit;
  readonly retryAfterMs: number;
}

export type SubmitResult =
  | { readonly kind: 'submitted'; readonly job: Job }
  | {
      readonly kind: 'workflow-invalid';
      readonly message: string;
      readonly nodeErrors: readonly NodeProblem[];
    }
  | {
      readonly kind: 'not-runnable';
      readonly missing: Needs;
      /** Name of the instance that lacks these, and least of all, when each thing is somewhere, but nowhere all of them. */
      readonly closest: string | null;
    }
  /** The key was used with another body; `job` is the one of that body, null when it was deleted since. */
  | { readonly kind: 'conflict'; readonly job: Job | null }
  | QueueFull
  | FileRefusal;

export type RetryResult =
  | { readonly kind: 'submitted'; readonly job: Job; readonly retried: Job }
  | { readonly kind: 'not-found' }
  /** It has not ended yet. */
  | { readonly kind: 'active'; readonly job: Job }
  | QueueFull;
