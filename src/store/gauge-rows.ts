/** What samples of the instances need of their rows. */
import type { InstanceHealth } from '../domain/instance.ts';
import type { Db } from './open.ts';
import { statement } from './statement.ts';

export interface GaugeRow {
  readonly id: string;
  readonly health: InstanceHealth;
  readonly response_ms: number | null;
  readonly vram_total_bytes: number | null;
  readonly vram_free_bytes: number | null;
}

const selectGauges = statement((q) =>
  q
    .selectFrom('instances')
    .select(['id', 'health', 'response_ms', 'vram_total_bytes', 'vram_free_bytes'])
    .where('removed_at', 'is', null),
);

/** Of every instance of the fleet, in no order. */
export async function gaugeRows(db: Db): Promise<readonly GaugeRow[]> {
  return (await selectGauges(db, {})).rows;
}
