/** Why jobs wait for something other than their turn, as one line that a person understands. */
import type { Needs } from '../../domain/capabilities.ts';
import { listed, missingWords } from '../../domain/missing-words.ts';
import { cappedReason } from '../../domain/tenant-limits.ts';
import { type Candidate, isAble, isOpen, isThere, isUp, lacks, promptsOn } from './candidate.ts';
import type { Lane } from './lane.ts';
import { mayRetry, type RecentDispatches } from './retry-budget.ts';

/** Why a whole class cannot start anywhere; null when an able instance is up, so that it merely waits its turn. */
export function blockedReason(needs: Needs, candidates: readonly Candidate[]): string | null {
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
  const lackOf = (candidate: Candidate): Lack => ({
    name: candidate.name,
    things: missingWords(lacks(candidate, needs)),
  });
  const lacking = usable.map(lackOf);
  if (lacking.some(({ things }) => things.length === 0)) return null;
  const others = candidates.filter((candidate) => candidate.inventory && !usable.includes(candidate));
  return nobodyAble(lacking, others.map(lackOf));
}

/** Jobs whose earlier attempts failed, when those of the whole fleet are repeated too often. */
export function retriesReason(lane: Lane, recent: RecentDispatches, percent: number): string | null {
  if (!lane.isRetry || mayRetry(recent, percent)) return null;
  if (percent === 0) return 'much fails on most instances, so repeated attempts wait until that is over';
  return `much fails at the moment, so repeated attempts are limited to ${percent} % of all`;
}

/** Jobs of a tenant that has as many at work as it may have; null for no such limit. */
export function tenantReason(running: number, most: number | null): string | null {
  return most === null || running < most ? null : cappedReason(most);
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
      isOpen(candidate) && candidate.takenSlots.length < candidate.capacity && isAble(candidate, needs),
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

interface Lack {
  readonly name: string;
  /** One entry for each thing that it lacks. */
  readonly things: readonly string[];
}

/** `usable`: those that take jobs, each of which lacks something. `away`: the others whose lists are known. */
function nobodyAble(usable: readonly Lack[], away: readonly Lack[]): string {
  const closest = usable.reduce((best, one) => (one.things.length < best.things.length ? one : best));
  const nowhere = closest.things.filter((thing) => usable.every(({ things }) => things.includes(thing)));
  if (nowhere.length === 0) {
    const lacking = listed(closest.things);
    return `no healthy instance has all that the workflow needs; the closest, ${closest.name}, lacks ${lacking}`;
  }
  const it = nowhere.length === 1 ? 'it' : 'them';
  const owners = away.filter(({ things }) => nowhere.every((thing) => !things.includes(thing)));
  const [lack, have] = [usable.length === 1 ? 'lacks' : 'lack', owners.length === 1 ? 'has' : 'have'];
  const elsewhere = owners.length === 0 ? '' : `; ${named(owners)} ${have} ${it}, but cannot take jobs now`;
  return `no healthy instance has ${listed(nowhere)} (${named(usable)} ${lack} ${it}${elsewhere})`;
}

const MOST_NAMES = 3;

/** Who, when these are few, else how many. */
function named(instances: readonly Lack[]): string {
  const names = instances.map(({ name }) => name);
  return names.length > MOST_NAMES ? `${names.length} instances` : listed(names, MOST_NAMES);
}
