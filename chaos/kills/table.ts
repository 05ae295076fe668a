/** The counts of a round as lines for a person. */
import { percentile } from '../percentile.ts';
import { MOMENTS } from './gateway-killer.ts';
import type { Judgement } from './judge.ts';
import type { Round } from './round.ts';

export function tableOf(round: Round, judged: Judgement): string[] {
  const { load, gatewayKills, instanceKills, watchers, size } = round;
  const counts = (map: ReadonlyMap<string, number>): string =>
    [...map].map(([name, count]) => `${name} ${count}`).join(', ') || 'none';
  const explained = judged.repeats.filter(({ explainedBy }) => explainedBy !== null).length;
  const moments = [...MOMENTS, 'only waiting', 'nothing'] as const;
  return [
    `took ${Math.round(round.tookMs / 1000)} s; JOB_MAX_CRASHES is 1000 here, because somebody else kills the machines`,
    `jobs ${size.jobs}, acknowledged ${load.acknowledged.length}, ${round.beforeLastKill} of them before the last kill of the gateway, requests asked again ${load.unanswered}, cancels ${load.canceled}`,
    `ended: ${counts(judged.byStatus)}; failed: ${counts(judged.failedByCode)}`,
    `lost ${judged.lost}, submitted twice ${judged.doubled}, results not whole ${judged.spoilt.length}`,
    `executions ${judged.executions}, of these again ${judged.repeats.length}, where the instance was killed with the job in it ${explained}`,
    `kills of the gateway ${gatewayKills.length}, by what was open: ${moments
      .map((moment) => `${moment} ${judged.moments.get(moment) ?? 0}`)
      .join(', ')}`,
    `kills of instances ${instanceKills.length}, with ${judged.inFlight} jobs in them`,
    `kill of the gateway to adoption: ${spread(gatewayKills.flatMap(({ adoptedAfterMs }) => adoptedAfterMs ?? []))}`,
    `start of the gateway to adoption: ${spread(gatewayKills.flatMap(({ adoptedAfterStartMs }) => adoptedAfterStartMs ?? []))}`,
    `death of an instance until its jobs were taken back: ${spread(judged.takenBackMs)}`,
    `death of an instance to their next attempts: ${spread(judged.redispatchMs)}`,
    `watchers ${watchers.length}, events ${watchers.reduce((sum, watcher) => sum + watcher.log().events.length, 0)}, subscriptions taken up again ${watchers.reduce((sum, { reconnected }) => sum + reconnected, 0)}`,
  ];
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return 'never seen';
  return `p50 ${Math.round(percentile(values, 0.5))} ms, p99 ${Math.round(percentile(values, 0.99))} ms (${values.length})`;
}
