/** What Prometheus is told of each instance, by its name: what it did in all time, and how it is now. */
import { INSTANCE_HEALTHS, type Instance } from '../../domain/instance.ts';
import { openAttemptCounts } from '../../store/instance-load.ts';
import { namesSince } from '../../store/instance-names.ts';
import { listInstances } from '../../store/instances.ts';
import type { Db } from '../../store/open.ts';
import { allTime, type Total } from './all-time.ts';
import type { Sample } from './sample.ts';

/** One that was removed is told of for so long: the last scrapes of what it did are not lost. */
const GONE_MS = 3_600_000;

export async function readInstanceSamples(db: Db, now: number) {
  const instances = await listInstances(db);
  const ids = instances.map(({ id }) => id);
  const taken = await openAttemptCounts(db, ids);
  return {
    ...(await readTotals(db, now)),
    instances: INSTANCE_HEALTHS.map((health) => ({
      labels: { health },
      value: instances.filter((instance) => instance.health === health).length,
    })),
    instance_up: ofEach(instances, ({ health }) => (health === 'HEALTHY' || health === 'DEGRADED' ? 1 : 0)),
    instance_running: ofEach(instances, ({ id }) => taken.get(id) ?? 0),
    instance_response_seconds: ofEach(instances, ({ responseMs }) => responseMs && responseMs / 1000),
    instance_vram_used_bytes: ofEach(instances, vramUsed),
    instance_vram_total_bytes: ofEach(instances, ({ vramTotalBytes }) => vramTotalBytes),
  };
}

function vramUsed({ vramTotalBytes, vramFreeBytes }: Instance): number | null {
  return vramTotalBytes === null || vramFreeBytes === null ? null : vramTotalBytes - vramFreeBytes;
}

/** What is null is absent; of several instances with one name (one configured, one added) only the last is told. */
function ofEach(instances: readonly Instance[], of: (instance: Instance) => number | null): Sample[] {
  const values = new Map(instances.map((instance) => [instance.name, of(instance)]));
  return [...values].flatMap(([instance_name, value]) =>
    value === null ? [] : [{ labels: { instance_name }, value }],
  );
}

async function readTotals(db: Db, now: number) {
  const names = await namesSince(db, now - GONE_MS);
  const ended = await allTime(db, { measure: 'attempts', by: ['instance', 'status'] });
  const status = ['FAILED', 'LOST'];
  const failed = await allTime(db, { measure: 'attempts', by: ['instance', 'code'], status });
  const spent = await allTime(db, { measure: 'gpu_time', by: ['instance'] });
  return {
    attempts_total: byName(names, ended, ({ key, cell }) => [{ outcome: key.status ?? '' }, cell.count]),
    attempt_failures_total: byName(names, failed, ({ key, cell }) => [{ code: key.code ?? '' }, cell.count]),
    instance_gpu_seconds_total: byName(names, spent, ({ cell }) => [{}, cell.sum / 1000]),
  };
}

/** Instances that had the same name one after the other count together, or a counter would fall. */
function byName(
  names: ReadonlyMap<string, string>,
  totals: readonly Total[],
  of: (total: Total) => [labels: Record<string, string>, value: number],
): Sample[] {
  const samples = new Map<string, Sample>();
  for (const total of totals) {
    const name = names.get(total.key.instance ?? '');
    if (name === undefined) continue;
    const [others, value] = of(total);
    const labels = { instance_name: name, ...others };
    const place = JSON.stringify(labels);
    samples.set(place, { labels, value: (samples.get(place)?.value ?? 0) + value });
  }
  return [...samples.values()];
}
