/** Why jobs wait for something other than their turn, as one line that a person understands. */
import type { Needs } from '../domain/capabilities.ts';
import { type Candidate, isAble, isOpen, isThere, isUp, lacks, promptsOn } from './candidate.ts';
import type { Lane } from './lane.ts';
import { mayRetry, type RecentDispatches } from './retry-budget.ts';

/** Why a whole class cannot start anywhere; null when an able instance is up, so that it merely waits its turn. */
export function blockedReason(
  needsKey: string,
  needs: Needs,
  candidates: readonly Candidate[],
): string | null {
  if (candidates.length === 0) return 'no instances are configured';
  const up = candidates.filter(isUp);
  if (up.length === 0) return nobodyUp(candidates);
  const open = up.filter((candidate) => !candidate.draining);
  if (open.length === 0) {
    return up.length === candidates.length
      ? 'all instances are draining'
      : 'all healthy instances are draining';
  }
  const usable = open.filter((candidate) => !candidate.stuck);
  if (usable.length === 0) return 'every healthy instance is held up by a prompt that does not end';
  const missing = usable.map((candidate) => words(lacks(candidate, needsKey, needs)));
  if (missing.some((things) => things.length === 0)) return null;
  return nobodyAble(missing);
}

/** Jobs whose earlier attempts failed, when those of the whole fleet are repeated too often. */
export function retriesReason(lane: Lane, recent: RecentDispatches, percent: number): string | null {
  if (!lane.isRetry || mayRetry(recent, percent)) return null;
  if (percent === 0) return 'much fails on most instances, so repeated attempts wait until that is over';
  return `much fails at the moment, so repeated attempts are limited to ${percent} % of all`;
}

/** Jobs of a tenant that has as many at work as it may have; null for no such limit. */
export function tenantReason(running: number, most: number | null): string | null {
  return most === null || running < most ? null : `as many jobs of its owner run at once as may (${most})`;
}

export const STORAGE_AWAY = 'the storage of the gateway does not answer';

/** Jobs that take files, while these cannot be read. */
export function storageReason(lane: Lane, storageAway: boolean): string | null {
  return lane.takesFiles && storageAway ? STORAGE_AWAY : null;
}

/** Jobs that took an instance down, when places are free but no instance is empty. */
export function isolationReason(lane: Lane, needs: Needs, candidates: readonly Candidate[]): string | null {
  if (!lane.isSuspect) return null;
  const able = candidates.filter(
    (candidate) =>
      isOpen(candidate) &&
      candidate.takenSlots.length < candidate.capacity &&
      isAble(candidate, lane.needsKey, needs),
  );
  if (able.length === 0 || able.some((candidate) => promptsOn(candidate) === 0)) return null;
  return 'an instance went down with the job, so it waits for one without any other prompt';
}

function nobodyUp(candidates: readonly Candidate[]): string {
  const all = candidates.length;
  const count = (what: (candidate: Candidate) => boolean, one: string, many: string): string[] => {
    const some = candidates.filter(what).length;
    return some > 0 ? [`${some} of ${all} ${some === 1 ? one : many}`] : [];
  };
  const isAway = (it: Candidate): boolean => !isThere(it) && !it.starting;
  const aside = (state: Candidate['breaker']) => (it: Candidate) => isThere(it) && it.breaker === state;
  const problems = [
    ...count((it) => it.starting, 'is starting or down', 'are starting or down'),
    ...count((it) => isAway(it) && it.health !== 'UNKNOWN', 'is unreachable', 'are unreachable'),
    ...count((it) => isAway(it) && it.health === 'UNKNOWN', 'has not answered yet', 'have not answered yet'),
    ...count(aside('HALF_OPEN'), 'is being tested', 'are being tested'),
    ...count(aside('OPEN'), 'is put aside after failures', 'are put aside after failures'),
  ];
  return `no healthy instance (${problems.join(', ')})`;
}

function nobodyAble(missing: readonly (readonly string[])[]): string {
  const [first = [], ...others] = missing;
  const nowhere = first.filter((thing) => others.every((things) => things.includes(thing)));
  if (nowhere.length > 0) return `no healthy instance has ${listed(nowhere)}`;
  const closest = missing.reduce((best, things) => (things.length < best.length ? things : best), first);
  return `no healthy instance has all that the workflow needs; the closest lacks ${listed(closest)}`;
}

function words(needs: Needs): string[] {
  return [
    ...needs.models.map((model) => `model ${model}`),
    ...needs.nodeTypes.map((nodeType) => `node type ${nodeType}`),
  ];
}

function listed(things: readonly string[]): string {
  const shown = things.slice(0, 2).join(' and ');
  return things.length > 2 ? `${shown} and ${things.length - 2} more` : shown;
}
