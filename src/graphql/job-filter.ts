/** The input JobFilter, and what it means to the rows. */
import type { JobStatus } from '../domain/job.ts';
import type { JobFilter } from '../domain/job-filter.ts';
import { MAX_LABELS } from '../jobs/submit-options.ts';
import type { JsonObject } from '../lib/json.ts';
import type { Builder } from './builder.ts';
import { choices, labelChoices, MOST_CHOICES } from './choices.ts';
import { rawId } from './global-id.ts';
import type { Refs } from './refs.ts';
import { momentOf, type TimeInput } from './time-input.ts';

export interface JobFilterInput {
  readonly status?: readonly JobStatus[] | null | undefined;
  readonly workflow?: readonly string[] | null | undefined;
  readonly instance?: readonly string[] | null | undefined;
  readonly owner?: string | null | undefined;
  readonly createdAfter?: TimeInput | null | undefined;
  readonly createdBefore?: TimeInput | null | undefined;
  readonly label?: JsonObject | null | undefined;
}

export function addJobFilter(builder: Builder, refs: Refs) {
  return builder.inputType('JobFilter', {
    description: `Which jobs: every given field must agree, an empty list matches nothing. More than ${MOST_CHOICES} values in a list, or ${MAX_LABELS} labels, are BAD_USER_INPUT.`,
    fields: (t) => ({
      status: t.field({ type: [refs.JobStatus], description: 'One of these statuses.' }),
      workflow: t.stringList({ description: 'One of these workflows, by name.' }),
      instance: t.idList({ description: 'Runs or ran last on one of these instances.' }),
      owner: t.string({ description: 'Submitted by this user.' }),
      createdAfter: t.field({ type: 'TimeInput', description: 'Submitted at this moment or later.' }),
      createdBefore: t.field({ type: 'TimeInput', description: 'Submitted before this moment.' }),
      label: t.field({ type: 'JSONObject', description: 'Has each of these labels with an equal value.' }),
    }),
  });
}

export type JobFilterRef = ReturnType<typeof addJobFilter>;

/** Null counts as absent; an instance id that is none matches no job. @throws BAD_USER_INPUT for what is too long. */
export function jobFilterOf(input: JobFilterInput | null | undefined, now: number): JobFilter {
  const { status, workflow, instance, owner, createdAfter, createdBefore, label } = input ?? {};
  return {
    ...(status && { status: choices('status', status) }),
    ...(workflow && { workflow: choices('workflow', workflow) }),
    ...(instance && { instance: choices('instance', instance).flatMap((id) => rawId(id, 'Instance') ?? []) }),
    ...(typeof owner === 'string' && { owner }),
    ...(createdAfter && { createdAfter: momentOf(createdAfter, now) }),
    ...(createdBefore && { createdBefore: momentOf(createdBefore, now) }),
    ...(label && { label: labelChoices(label) }),
  };
}
