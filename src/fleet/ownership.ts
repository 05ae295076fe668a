/**
 * Which prompts in an instance's queue are ours. Each carries a tag with the id of this fleet's store, so that two
 * gateways, or a person at the instance's own page, never touch each other's prompts.
 */
import type { QueueItem } from '../comfyui/queue.ts';
import { isObject, type JsonObject } from '../lib/json.ts';

const TAG = 'comfyfleet';

/** What goes beside a graph: comes back in /queue and /history. */
export function ownershipTag(fleetId: string, jobId: string, attemptId: string): JsonObject {
  return { [TAG]: { fleet: fleetId, job: jobId, attempt: attemptId } };
}

/** The same for a prompt that stands for no job: it only shows whether the instance works. */
export function canaryTag(fleetId: string): JsonObject {
  return { [TAG]: { fleet: fleetId, canary: true } };
}

/** Canaries too. */
export function isOurs(item: QueueItem, fleetId: string): boolean {
  const tag = item.extraData[TAG];
  return isObject(tag) && tag.fleet === fleetId;
}

export function isCanary(item: QueueItem, fleetId: string): boolean {
  const tag = item.extraData[TAG];
  return isObject(tag) && tag.fleet === fleetId && tag.canary === true;
}
