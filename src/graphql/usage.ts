/** The noun UsageRow: time on the GPUs by day, for whoever pays for it. */
import { bucketOf } from '../domain/metric-measure.ts';
import { readUsage } from '../store/metric-usage.ts';
import type { MetricUsageTable } from '../store/schema.ts';
import type { Builder } from './builder.ts';
import { badInput } from './coded-error.ts';
import { globalId } from './global-id.ts';
import { MONTH_AGO, NOW, rangeOf } from './metric-range.ts';

const DAY_MS = 86_400_000;
const MOST_ROWS = 10_000;

export function addUsage(builder: Builder): void {
  const UsageRow = builder.objectRef<MetricUsageTable>('UsageRow').implement({
    description: 'What the jobs of one tenant and workflow used on one day.',
    fields: (t) => ({
      id: t.id({
        description: 'Opaque id, the same for the same day, tenant and workflow.',
        resolve: ({ day, tenant, workflow }) => globalId('UsageRow', JSON.stringify([day, tenant, workflow])),
      }),
      day: t.field({
        type: 'DateTime',
        description: 'Beginning of the day, in UTC.',
        resolve: ({ day }) => day,
      }),
      tenant: t.exposeString('tenant', { description: 'Whose jobs.' }),
      workflow: t.exposeString('workflow', {
        description: 'Of which workflow; "raw" for graphs submitted as they are.',
      }),
      jobs: t.exposeFloat('jobs', { description: 'Jobs that ended on this day, in any way.' }),
      gpuSeconds: t.float({
        description:
          'Time on instances of every attempt, retried and canceled ones too, in s; of one that ran past midnight, the part on this day.',
        resolve: ({ gpu_ms }) => gpu_ms / 1000,
      }),
      countedGpuSeconds: t.float({
        description: 'That of the attempts that ended their jobs COMPLETED or FAILED, in s.',
        resolve: ({ counted_gpu_ms }) => counted_gpu_ms / 1000,
      }),
      cost: t.float({
        nullable: true,
        description: 'gpuSeconds times GPU_SECOND_PRICE, in its currency; null when no price is configured.',
        resolve: ({ gpu_ms }, _args, { services: { config } }) =>
          config.gpuSecondPrice === null ? null : (gpu_ms / 1000) * config.gpuSecondPrice,
      }),
    }),
  });
  builder.queryField('usage', (t) =>
    t.field({
      type: [UsageRow],
      description: `GPU time by day, tenant and workflow, in this order; days (UTC) that lie partly in the range count whole. BAD_USER_INPUT for a range that is empty or lies in the future, or has more than ${MOST_ROWS} rows.`,
      args: {
        from: t.arg({
          type: 'TimeInput',
          defaultValue: MONTH_AGO,
          description: 'A moment of the first day.',
        }),
        to: t.arg({
          type: 'TimeInput',
          defaultValue: NOW,
          description: 'End of the range, itself not in it.',
        }),
      },
      resolve: async (_root, args, { services: { store, clock } }) => {
        const { from, to } = rangeOf(args.from ?? MONTH_AGO, args.to ?? NOW, clock.now());
        const rows = await readUsage(store.db, bucketOf(DAY_MS, from), to, MOST_ROWS + 1);
        if (rows.length <= MOST_ROWS) return rows;
        throw badInput(`there are more than ${MOST_ROWS} rows; ask for fewer days at a time`);
      },
    }),
  );
}
