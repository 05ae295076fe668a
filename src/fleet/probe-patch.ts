/** What a probe found out, for the row of its instance. Pure. */
import type { QueueItem } from '../comfyui/queue.ts';
import type { HealthPatch } from '../store/instances.ts';
import type { Probe } from './prober.ts';

/** What was not asked, or not answered, stays as it is in the row. */
export function probePatch(
  { record, queue, stats }: Probe,
  isOurs: (item: QueueItem) => boolean,
): HealthPatch {
  const { misses: _, ...health } = record;
  const items = queue && [...queue.running, ...queue.pending];
  return {
    ...health,
    ...(queue && { queueRunning: queue.running.length, queuePending: queue.pending.length }),
    ...(items && { foreignPrompts: items.filter((item) => !isOurs(item)).length }),
    ...(stats && {
      comfyuiVersion: stats.comfyuiVersion,
      gpu: stats.gpu,
      vramTotalBytes: stats.vramTotalBytes,
      vramFreeBytes: stats.vramFreeBytes,
    }),
  };
}
