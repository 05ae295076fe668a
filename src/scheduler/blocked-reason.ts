/** Why a class of jobs cannot start anywhere, as one line that a person understands. */
import type { Needs } from '../domain/capabilities.ts';
import { type Candidate, isUp, lacks } from './candidate.ts';

/** Null when an able instance is up: the jobs merely wait their turn. */
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
  const missing = open.map((candidate) => words(lacks(candidate, needsKey, needs)));
  if (missing.some((things) => things.length === 0)) return null;
  return nobodyAble(missing);
}

function nobodyUp(candidates: readonly Candidate[]): string {
  const all = candidates.length;
  const fresh = candidates.filter((candidate) => candidate.health === 'UNKNOWN').length;
  const rest = all - fresh;
  const problems = [
    ...(rest > 0 ? [`${rest} of ${all} ${rest === 1 ? 'is' : 'are'} unreachable`] : []),
    ...(fresh > 0 ? [`${fresh} of ${all} ${fresh === 1 ? 'has' : 'have'} not answered yet`] : []),
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
