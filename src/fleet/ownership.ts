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

export function isOurs(item: QueueItem, fleetId: string): boolean {
  const tag = item.extraData[TAG];
  return isObject(tag) && tag.fleet === fleetId;
}
